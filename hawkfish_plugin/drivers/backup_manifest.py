# SPDX-License-Identifier: Apache-2.0
"""
The manifest of a backup: a file beside its files that says what they are.

Owns its format and version, and the reading of one.  A repository is a folder
that others can write to, perhaps on another host: nothing in a manifest is
trusted, and none leads to a file that is not of its own backup.
"""

import json
import math
import re
import uuid
from typing import Any

from hawkfish_plugin import exceptions, names
from hawkfish_plugin.bundles import manifest, reading
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.backups import Backup, Described

FORMAT, VERSION = 'HawkFishBackup', 1
MOST_BYTES = 2**20
"""A manifest that is longer is none."""

_TOKEN = re.compile(r'[0-9a-f]{12}')
_MOST_CHARACTERS = 4096
_ROLES = (manifest.DOMAIN, manifest.FIRMWARE, manifest.DISK)
_POWER_STATES = (contract.ON, contract.OFF, contract.PAUSED)
_QUIESCE = (
    contract.QUIESCED,
    contract.NOT_NEEDED,
    contract.NOT_REQUESTED,
    contract.QUIESCE_FAILED,
)


class Refused(ValueError):
    """A manifest that is none, or leads elsewhere, and why."""


def render(found: Described) -> bytes:
    """The bytes of the manifest."""
    made = found.made.dump()
    # The host that reads it may call the pool anything.
    del made['pool']
    known = {
        'Format': FORMAT,
        'Version': VERSION,
        'System': found.system.name,
        'UUID': found.system.uuid,
        'Description': found.description,
        'Created': found.created,
        'Backup': made,
    }
    return json.dumps(known, indent=1).encode()


def read(data: bytes, token: str, pool: str, begin: str) -> Described:
    """
    What *data* says, the manifest of the backup *token* in *pool*.

    *begin* is what the names of all its files begin with.  Raises Refused.
    """
    if len(data) > MOST_BYTES:
        raise Refused('it is too long')
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused('it is not JSON, or not whole') from None
    if not isinstance(found, dict) or found.get('Format') != FORMAT:
        raise Refused('it is no manifest of a backup')
    version = found.get('Version')
    if type(version) is not int or version < 1:
        raise Refused('its version is no number')
    if version > VERSION:
        raise Refused(f'its version is {version}, and {VERSION} is the newest')
    try:
        described = _described(found, pool)
    except (KeyError, TypeError, AttributeError, OverflowError):
        raise Refused('it is incomplete') from None
    except ValueError as exc:
        raise Refused(str(exc)) from None
    except exceptions.HawkFishError as exc:
        raise Refused(' '.join(map(str, exc.args))) from None
    if described.made.token != token:
        raise Refused('it is of another backup')
    _check_names(described.made, begin)
    return described


def _described(found: dict[str, Any], pool: str) -> Described:
    system = contract.System(str(uuid.UUID(found['UUID'])), found['System'])
    names.check_of_system(system.name)
    _check_text(found['Description'])
    created = found['Created']
    if type(created) not in (int, float) or not (
        math.isfinite(created) and 0 <= created < 2**40
    ):
        raise Refused('its time is none')
    made = Backup.load({**found['Backup'], 'pool': pool})
    _check(made)
    return Described(system, made, found['Description'], float(created))


def _check(made: Backup) -> None:
    for token in (made.token, made.parent):
        if token is not None and not _TOKEN.fullmatch(token):
            raise Refused('its token is none')
    if made.token is None or made.parent == made.token:
        raise Refused('it stands on itself')
    texts = [made.reason, *made.hypervisor, *made.hypervisor.values()]
    for one in made.left_out:
        texts += [one.what, one.reason]
    for text in texts:
        _check_text(text)
    if made.power_state not in _POWER_STATES or made.quiesce not in _QUIESCE:
        raise Refused('the state of its system is none')
    if not isinstance(made.members, list):
        raise Refused('it has no list of files')
    reading.check_members(made.members)


def _check_text(text: object) -> None:
    if not isinstance(text, str) or len(text) > _MOST_CHARACTERS:
        raise Refused('it has a text that is none, or too long')


def _check_names(made: Backup, begin: str) -> None:
    for member in made.members:
        if member.role not in _ROLES:
            raise Refused(f'the role of {member.name} is of no backup')
        if '/' in member.name or not _is_of(member, begin):
            raise Refused(f'{member.name} is no file of its own')


def _is_of(member: Member, begin: str) -> bool:
    rest = member.name.removeprefix(begin)
    return rest != member.name and rest[:1] in ('.', '-')
