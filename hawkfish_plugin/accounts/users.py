# SPDX-License-Identifier: Apache-2.0
"""
The emulator's file of users.

Owns its reading, the checks of passwords against it, and what a new entry
looks like.
"""

import io
import logging
from collections.abc import Iterator

import bcrypt

from hawkfish_plugin.emulator import internals

LOG = logging.getLogger(__name__)

# What bcrypt looks at; newer releases refuse more.
MOST_BYTES = 72
# As the documentation advises; a dearer entry of another user makes it dearer.
_LEAST_COST = 10


def entries(users: str) -> dict[str, str]:
    """The lines of the file *users* by user; the first of a user counts."""
    try:
        return of_lines(text(users))
    except (OSError, UnicodeDecodeError) as exc:
        LOG.error('The file of users cannot be read: %s', exc)
        return {}


def text(users: str) -> str:
    """All of the file; raises OSError and UnicodeDecodeError."""
    with open(users) as lines:
        return lines.read()


def of_lines(text: str) -> dict[str, str]:
    """The same of the *text* of the file."""
    found: dict[str, str] = {}
    for line in lines_of(text):
        if name := name_in(line):
            found.setdefault(name, line.strip())
    return found


def lines_of(text: str) -> Iterator[str]:
    """Each line of *text* as it is, where the emulator sees a line."""
    return iter(io.StringIO(text, newline=''))


def name_in(line: str) -> str:
    """Whose *line* it is, of this file or that of roles; '' for nobody's."""
    name, colon, _ = line.strip().partition(':')
    return name if colon else ''


def entry(name: str, password: str, others: dict[str, str]) -> str:
    """
    A line for *name*, as dear to check as the dearest of the *others*.

    Raises TooManyChecks.
    """
    cost = max([_LEAST_COST, *map(internals.cost, others.values())])
    with internals.turn():
        made = bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost))
    digest = made.decode()
    # The same algorithm, by the name that htpasswd knows as well.
    return f'{name}:$2y${digest.removeprefix("$2b$")}'


def check(users: str, name: str, password: str) -> str | None:
    """
    The entry that *name* and *password* fit.

    An unknown name takes as long as a wrong password.
    """
    waste_time(users, name, password.encode(errors='replace'))
    found = entries(users).get(name)
    return found if found and internals.fits(found, password) else None


def waste_time(users: str, name: str, password: bytes) -> None:
    """
    Take as long as the dearest check of a password, but for one of *name*.

    So that no answer tells by its time who is a user, or one whose password
    is cheap to check.  Raises CheckRefused.
    """
    known = entries(users)
    dearest = max(known.values(), key=internals.cost, default='')
    own = known.get(name, '')
    if dearest and internals.cost(own) < internals.cost(dearest):
        internals.fits(dearest, password.decode(errors='replace'))


def may_be_password(password: bytes) -> bool:
    """Whether bcrypt takes *password*, right or wrong."""
    return 0 not in password and len(password) <= MOST_BYTES
