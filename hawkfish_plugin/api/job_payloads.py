# SPDX-License-Identifier: Apache-2.0
"""
The requests that a schedule can have: its Payload, read as they would be.

What the body of each may hold is where its own route is; what cannot be the
same for each run is refused.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib import parse

from hawkfish_plugin import bounds, exceptions
from hawkfish_plugin.api import (
    backups,
    group_snapshots,
    noting,
    snapshots,
    verifications,
)
from hawkfish_plugin.api.access import named_system, services
from hawkfish_plugin.api.bodies import Body, unquoted
from hawkfish_plugin.api.bodies import parse as parse_json
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import scheduling
from hawkfish_plugin.operations.options import SnapshotOptions
from hawkfish_plugin.redfish import tasks, uris

_RELATED = '#/Payload/JsonBody'
_URI = '#/Payload/TargetUri'
# These are of one snapshot, not of each.
_OF_ONE = ('Name', 'ExpiresTime')

Target = tuple[str, tuple[contract.System, ...], str | None, dict[str, Any]]
"""The kind, the systems, the group, and the options of a schedule"""


def read(payload: Mapping[str, Any]) -> tuple[Target, Body]:
    """
    What *payload* asks for, and how it is shown.

    Raises ScheduleTargetInvalid, ScheduleBodyInvalid, and everything that
    is wrong with its body.
    """
    uri = payload['TargetUri']
    body = _body(payload.get('JsonBody'))
    for pattern, reader in _READERS:
        match = pattern.fullmatch(uri)
        if match:
            parts = [parse.unquote(part) for part in match.groups()]
            with _about_body():
                target, canonical = reader(body, *parts)
            return target, tasks.payload('POST', canonical, body)
    raise _invalid(uri)


def _body(given: object) -> Body:
    """The object that *given* is, or is the text of."""
    found = given
    if isinstance(given, str):
        with _about_body():
            found = parse_json(given.encode(errors='replace')) if given else {}
    if given is None:
        found = {}
    if not isinstance(found, dict):
        raise exceptions.MalformedJSON(related=[_RELATED])
    size = len(json.dumps(found))
    if size > bounds.PAYLOAD_CHARACTERS:
        raise exceptions.StringValueTooLong(
            'JsonBody', bounds.PAYLOAD_CHARACTERS, related=[_RELATED]
        )
    return found


@contextlib.contextmanager
def _about_body() -> Iterator[None]:
    """What is wrong in the block is so in the body of the payload."""
    try:
        yield
    except exceptions.HawkFishError as exc:
        for part in exc.parts:
            if part.related != (_URI,):
                part.related = (_RELATED,)
        raise


def _invalid(uri: str) -> exceptions.HawkFishError:
    return exceptions.ScheduleTargetInvalid(unquoted(uri), related=[_URI])


def _system(identity: str, uri: str) -> contract.System:
    try:
        return named_system(identity)
    except exceptions.SystemNotFound:
        raise _invalid(uri) from None


def _check_each(body: Body) -> None:
    """Raise for what would be of one run only."""
    exceptions.check(
        [exceptions.ScheduleBodyInvalid(n) for n in _OF_ONE if n in body]
    )


def _snapshot(body: Body, identity: str) -> tuple[Target, str]:
    uri = uris.snapshots_uri(identity)
    system = _system(identity, uri)
    _check_each(body)
    options = snapshots.read_options(body, snapshots.CREATE)
    found = {'memory': options.memory, **_common(options)}
    target = scheduling.SNAPSHOT, (system,), None, found
    return target, uris.snapshots_uri(system.uuid)


def _group_snapshot(body: Body, name: str) -> tuple[Target, str]:
    uri = uris.group_snapshots_uri(name)
    try:
        group = services().groups.group(name)
    except exceptions.GroupNotFound:
        raise _invalid(uri) from None
    noting.note_systems(*group.members)
    _check_each(body)
    options = group_snapshots.read_options(body, group_snapshots.CREATE)
    found = {'consistency': options.consistency, **_common(options)}
    return (scheduling.GROUP_SNAPSHOT, group.members, name, found), uri


def _common(options: SnapshotOptions) -> dict[str, Any]:
    return {
        'description': options.description,
        'quiesce': options.quiesce,
        'locked': options.locked,
    }


def _backup(body: Body, identity: str) -> tuple[Target, str]:
    uri = uris.backups_uri(identity)
    system = _system(identity, uri)
    options = backups.read_options(body)
    found = {
        'full': options.full,
        'description': options.description,
        'quiesce': options.quiesce,
    }
    target = scheduling.BACKUP, (system,), None, found
    return target, uris.backups_uri(system.uuid)


def _verify(body: Body, identity: str, name: str) -> tuple[Target, str]:
    uri = uris.snapshot_uri(identity, name)
    system = _system(identity, uri)
    if name not in services().catalogue.names(system):
        raise _invalid(uri)
    found = verifications.read(name, body).dump()
    canonical = uris.action_uri(
        uris.snapshot_uri(system.uuid, name), uris.VERIFY_ACTION
    )
    return (scheduling.VERIFY, (system,), None, found), canonical


def _verify_newest(body: Body, identity: str) -> tuple[Target, str]:
    uri = uris.snapshots_uri(identity)
    system = _system(identity, uri)
    found = verifications.read('', body).dump()
    canonical = uris.action_uri(
        uris.snapshots_uri(system.uuid), uris.VERIFY_NEWEST_ACTION
    )
    return (scheduling.VERIFY, (system,), None, found), canonical


def _verify_backup(
    body: Body, identity: str, number: str
) -> tuple[Target, str]:
    system = _system(identity, uris.backups_uri(identity))
    try:
        backup = services().backups.get(system, int(number)).stored.id
    except exceptions.NotFound:
        raise _invalid(f'{uris.backups_uri(identity)}/{number}') from None
    canonical = uris.action_uri(
        uris.backup_uri(system.uuid, backup), uris.VERIFY_BACKUP_ACTION
    )
    request = verifications.read_of_backup(backup, body)
    found = {'backup': backup, 'request': request and request.dump()}
    return (scheduling.VERIFY_BACKUP, (system,), None, found), canonical


_Reader = Callable[..., tuple[Target, str]]
_NAME = '([^/]+)'
_SYSTEM = f'{uris.ROOT}/Systems/{_NAME}/Oem/HawkFish'
_AGGREGATE = f'{uris.AGGREGATES}/{_NAME}/Oem/HawkFish'
_READERS: Sequence[tuple[re.Pattern[str], _Reader]] = [
    (re.compile(pattern), reader)
    for pattern, reader in (
        (f'{_SYSTEM}/Snapshots/?', _snapshot),
        (f'{_AGGREGATE}/Snapshots/?', _group_snapshot),
        (f'{_SYSTEM}/Backups/?', _backup),
        (
            f'{_SYSTEM}/Snapshots/Actions/{uris.VERIFY_NEWEST_ACTION}',
            _verify_newest,
        ),
        (
            f'{_SYSTEM}/Snapshots/{_NAME}/Actions/{uris.VERIFY_ACTION}',
            _verify,
        ),
        (
            rf'{_SYSTEM}/Backups/([0-9]{{1,18}})/Actions/'
            f'{uris.VERIFY_BACKUP_ACTION}',
            _verify_backup,
        ),
    )
]
