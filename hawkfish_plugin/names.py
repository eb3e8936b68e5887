# SPDX-License-Identifier: Apache-2.0
"""
Names: which are allowed, and those that we make.
"""

import datetime
import re
from collections.abc import Collection

from hawkfish_plugin import exceptions

MAX_CHARACTERS = 128
MAX_BYTES = 200

# What libvirt, a file system and a URI all take for the name of a system.
_OF_SYSTEM = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}')
_OF_SYSTEM_RULE = 'it must have 1 to 64 letters, digits, and _, . and - within'


def check_of_system(name: str) -> None:
    """Raise SystemNameInvalid where no new system can have *name*."""
    if not _OF_SYSTEM.fullmatch(name):
        raise exceptions.SystemNameInvalid(name[:200], _OF_SYSTEM_RULE)


def check(name: str) -> None:
    """
    Raise the first rule that *name*, of a snapshot, breaks.

    libvirt makes a file name of it, so its limits are those of a file name
    with room for an ending.
    """
    if len(name) > MAX_CHARACTERS:
        raise exceptions.StringValueTooLong(
            name, MAX_CHARACTERS, related=['#/Name']
        )
    size = len(name.encode(errors='replace'))
    broken = {
        'it is empty or blank': not name.strip(),
        'it contains a slash': '/' in name,
        'it begins with a dot': name.startswith('.'),
        'it contains a character that is not printable': (
            not name.isprintable()
        ),
        f'it is longer than {MAX_BYTES} bytes in UTF-8': size > MAX_BYTES,
    }
    for rule, is_broken in broken.items():
        if is_broken:
            raise exceptions.SnapshotNameInvalid(
                _printable(name), rule, related=['#/Name']
            )


def _printable(name: str) -> str:
    return ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def of_now(stem: str, taken: Collection[str]) -> str:
    """A name made of *stem* and the time that is not *taken*."""
    now = datetime.datetime.now(datetime.UTC)
    first = name = f'{stem}-{now:%Y%m%dT%H%M%SZ}'
    number = 1
    while name in taken:
        number += 1
        name = f'{first}-{number}'
    return name
