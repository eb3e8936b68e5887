# SPDX-License-Identifier: Apache-2.0
"""
The roles of Redfish, and the file that says who has which.

Owns the predefined roles with their privileges, and the lines of the file:
``NAME:ROLE``, or ``NAME:ROLE:disabled``.  The file is no part of the state
database, so that with a lost database nobody gains a role.  Whatever of it is
missing or not understood gives nobody a higher role: no file or no line, an
unknown role, leave ReadOnly.  Without the file nobody is known to be disabled.
"""

import dataclasses
import functools
import logging
from collections.abc import Mapping

from hawkfish_plugin.accounts.users import lines_of, name_in

LOG = logging.getLogger(__name__)

ADMINISTRATOR, OPERATOR, READ_ONLY = 'Administrator', 'Operator', 'ReadOnly'

LOGIN = 'Login'
CONFIGURE_MANAGER = 'ConfigureManager'
CONFIGURE_USERS = 'ConfigureUsers'
CONFIGURE_COMPONENTS = 'ConfigureComponents'
CONFIGURE_SELF = 'ConfigureSelf'

PRIVILEGES: dict[str, tuple[str, ...]] = {
    ADMINISTRATOR: (
        LOGIN,
        CONFIGURE_MANAGER,
        CONFIGURE_USERS,
        CONFIGURE_COMPONENTS,
        CONFIGURE_SELF,
    ),
    OPERATOR: (LOGIN, CONFIGURE_COMPONENTS, CONFIGURE_SELF),
    READ_ONLY: (LOGIN, CONFIGURE_SELF),
}
"""The privileges of each role, as DSP0266 predefines them."""

_ENABLED, _DISABLED = 'enabled', 'disabled'


@dataclasses.dataclass(frozen=True)
class Standing:
    """What a user is."""

    role: str = READ_ONLY
    enabled: bool = True


def standing(file: str | None, name: str) -> Standing:
    """Of the user *name* by *file*; without one, an Administrator."""
    if file is None:
        return Standing(ADMINISTRATOR)
    return of_lines(text(file)).get(name, Standing())


def text(file: str) -> str:
    """All of *file*; nothing where it cannot be read."""
    try:
        return read(file)
    except OSError as exc:
        LOG.error(
            'The file of roles cannot be read, so all are ReadOnly: %s', exc
        )
        return ''


def read(file: str) -> str:
    """As ``text``, but raises OSError."""
    # What is no text spoils its own line, and no other.
    with open(file, errors='replace') as lines:
        return lines.read()


# So that what is wrong with a line is told once, until the file changes.
@functools.lru_cache(maxsize=4)
def of_lines(text: str) -> Mapping[str, Standing]:
    """Who is what, by the *text* of the file; the first line counts."""
    found: dict[str, Standing] = {}
    for line in lines_of(text):
        name = name_in(line)
        if name and not name.startswith('#'):
            found.setdefault(name, _standing(line.strip()))
    return found


def line(name: str, standing: Standing) -> str:
    """The line of the file for what *name* is."""
    return f'{name}:{standing.role}' + (
        '' if standing.enabled else f':{_DISABLED}'
    )


def _standing(line: str) -> Standing:
    name, role, *rest = line.split(':')
    if role not in PRIVILEGES:
        LOG.warning('%r has no role that there is, so ReadOnly', name)
        role = READ_ONLY
    # What is misspelt there was to keep somebody out.
    return Standing(role, rest in ([], [_ENABLED]))
