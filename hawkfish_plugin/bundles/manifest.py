# SPDX-License-Identifier: Apache-2.0
"""
The manifest of a bundle: what is in it, what is not, and where it came from.

Owns the format and its version.  A bundle has systems, each of a snapshot
with its members; version 1 has exactly one system.  A reader ignores what it
does not know within a version, and refuses a newer version as a whole.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin.records import Record

NAME = 'manifest.json'
FORMAT, VERSION = 'HawkFishBundle', 1

DOMAIN, SNAPSHOT, DISK = 'Domain', 'Snapshot', 'Disk'
FIRMWARE, MEMORY = 'Firmware', 'Memory'


@dataclasses.dataclass(frozen=True)
class Member(Record):
    """
    A file of a bundle, of *size* bytes.

    *name* is its path in the tar, whose last part no other member has.
    *role* is one of the constants above.  A disk has its *target*, its
    *format* and the *capacity* that the guest sees, in bytes; what is of the
    firmware has its kind as *target*.
    """

    name: str
    role: str
    size: int
    sha256: str
    target: str | None = None
    format: str | None = None
    capacity: int | None = None


@dataclasses.dataclass(frozen=True)
class LeftOut(Record):
    """What the system had and the bundle has not, and why."""

    what: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Source(Record):
    """
    Where a bundle came from.

    *captured* is when the snapshot was created, in seconds since the epoch,
    and *power_state* the system's then; *hypervisor* has versions, by name.
    """

    system: str
    uuid: str
    snapshot: str
    captured: int
    power_state: str | None
    description: str = ''
    hypervisor: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Manifest:
    """*created* is when it was exported, in seconds since the epoch."""

    created: int
    source: Source
    members: Sequence[Member]
    left_out: Sequence[LeftOut] = ()

    def dump(self) -> dict[str, Any]:
        """The manifest as JSON has it."""
        source = self.source
        return {
            'Format': FORMAT,
            'Version': VERSION,
            'Created': self.created,
            'Systems': [
                {
                    'Name': source.system,
                    'UUID': source.uuid,
                    'Snapshot': {
                        'Name': source.snapshot,
                        'Description': source.description,
                        'Created': source.captured,
                        'PowerState': source.power_state,
                    },
                    'Hypervisor': dict(source.hypervisor),
                    'Members': [_member(one) for one in self.members],
                    'LeftOut': [
                        {'What': one.what, 'Reason': one.reason}
                        for one in self.left_out
                    ],
                }
            ],
        }

    def render(self) -> bytes:
        """The bytes of ``manifest.json``; the same each time."""
        return (json.dumps(self.dump(), indent=1) + '\n').encode()

    @classmethod
    def load(cls, found: Mapping[str, Any]) -> 'Manifest':
        """What ``dump`` gave; see ``reading`` for what others have written."""
        system = found['Systems'][0]
        snapshot = system['Snapshot']
        return cls(
            found['Created'],
            Source(
                system['Name'],
                system['UUID'],
                snapshot['Name'],
                snapshot['Created'],
                snapshot['PowerState'],
                snapshot.get('Description', ''),
                system.get('Hypervisor', {}),
            ),
            tuple(_read_member(one) for one in system['Members']),
            tuple(
                LeftOut(one['What'], one['Reason'])
                for one in system.get('LeftOut', ())
            ),
        )


def _member(one: Member) -> dict[str, Any]:
    found = {
        'Name': one.name,
        'Role': one.role,
        'Size': one.size,
        'SHA256': one.sha256,
        'Target': one.target,
        'Format': one.format,
        'Capacity': one.capacity,
    }
    return {key: value for key, value in found.items() if value is not None}


def _read_member(found: Mapping[str, Any]) -> Member:
    return Member(
        found['Name'],
        found['Role'],
        found['Size'],
        found['SHA256'],
        found.get('Target'),
        found.get('Format'),
        found.get('Capacity'),
    )
