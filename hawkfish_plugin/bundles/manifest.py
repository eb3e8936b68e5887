# SPDX-License-Identifier: Apache-2.0
"""
The manifest of a bundle: what is in it, what is not, and where it came from.

Owns the format and its versions.  A bundle has systems, each of a snapshot
with its members: version 1 has exactly one; version 2 has those of a group,
see ``Lab``.  In version 3, of either, ``checksums`` follow all members.  A
reader ignores what it does not know within a version, and refuses a newer
version as a whole.
"""

import dataclasses
import functools
import json
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin.records import Record

NAME = 'manifest.json'
FORMAT, VERSION = 'HawkFishBundle', 3
_GROUP, SUMMED = 2, 3

DOMAIN, SNAPSHOT, DISK = 'Domain', 'Snapshot', 'Disk'
FIRMWARE, MEMORY = 'Firmware', 'Memory'
# Those whose checksums may be late.
LARGE = DISK, MEMORY


@dataclasses.dataclass(frozen=True)
class Member(Record):
    """
    A file of a bundle, of *size* bytes.

    *name* is its path in the tar, whose last part no other member has.
    *role* is one of the constants above.  A disk has its *target*, its
    *format* and the *capacity* that the guest sees, in bytes; what is of the
    firmware has its kind as *target*.  *sha256* is None where it is late, see
    ``late``.
    """

    name: str
    role: str
    size: int
    sha256: str | None
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
    """
    The bundle of one system.

    *created* is when it was exported, in seconds since the epoch.
    """

    created: int
    source: Source
    members: Sequence[Member]
    left_out: Sequence[LeftOut] = ()

    @property
    def systems(self) -> Sequence['Manifest']:
        """What it has of each system."""
        return (self,)

    @property
    def title(self) -> str:
        """What it is of, for people."""
        return f'{self.source.system}-{self.source.snapshot}'

    @property
    def snapshot(self) -> str:
        return self.source.snapshot

    def owner(self, member: Member) -> int:
        """The position in ``systems`` of the one that *member* is of."""
        return 0

    def dump(self) -> dict[str, Any]:
        """The manifest as JSON has it."""
        return _dump(self)

    def render(self) -> bytes:
        """The bytes of ``manifest.json``; the same each time."""
        return _render(self.dump())

    @classmethod
    def load(cls, found: Mapping[str, Any]) -> 'Manifest':
        """What ``dump`` gave; see ``reading`` for what others have written."""
        return _load_system(found['Created'], found['Systems'][0])


@dataclasses.dataclass(frozen=True)
class Lab:
    """
    The bundle of a *group*: of *systems*, the names of whose members differ.

    *created* is as in ``Manifest``.
    """

    created: int
    group: str
    systems: Sequence[Manifest]

    @classmethod
    def of(cls, created: int, group: str, parts: Sequence[Manifest]) -> 'Lab':
        """What has the members of all *parts*, each in a folder of its own."""
        return cls(
            created,
            group,
            tuple(
                dataclasses.replace(
                    part,
                    members=tuple(
                        dataclasses.replace(
                            one,
                            name=posixpath.join(
                                'systems', str(number), one.name
                            ),
                        )
                        for one in part.members
                    ),
                )
                for number, part in enumerate(parts, 1)
            ),
        )

    @functools.cached_property
    def members(self) -> Sequence[Member]:
        """
        All of them, in the order of the tar.

        First the definitions, so that who reads them knows all systems before
        the first disk.
        """
        found = [one for part in self.systems for one in part.members]
        return sorted(found, key=lambda one: one.role != DOMAIN)

    @property
    def title(self) -> str:
        return f'{self.group}-{self.snapshot}'

    @property
    def snapshot(self) -> str:
        return self.systems[0].snapshot

    @property
    def left_out(self) -> Sequence[LeftOut]:
        return [
            LeftOut(f'{part.source.system}: {one.what}', one.reason)
            for part in self.systems
            for one in part.left_out
        ]

    def owner(self, member: Member) -> int:
        return self._owners[member.name]

    @functools.cached_property
    def _owners(self) -> Mapping[str, int]:
        return {
            one.name: position
            for position, part in enumerate(self.systems)
            for one in part.members
        }

    def dump(self) -> dict[str, Any]:
        return {**_dump(*self.systems), 'Group': self.group}

    def render(self) -> bytes:
        return _render(self.dump())

    @classmethod
    def load(cls, found: Mapping[str, Any]) -> 'Lab':
        created = found['Created']
        systems = [_load_system(created, one) for one in found['Systems']]
        return cls(created, found['Group'], tuple(systems))


Bundle = Manifest | Lab


def load(found: Mapping[str, Any]) -> Bundle:
    """What ``dump`` of either gave."""
    return Lab.load(found) if is_lab(found) else Manifest.load(found)


def is_lab(found: Mapping[str, Any]) -> bool:
    """Whether a manifest, as JSON has it, is that of a group."""
    version = found['Version']
    return bool(version == _GROUP or (version > _GROUP and 'Group' in found))


def late(members: Sequence[Member]) -> Sequence[Member]:
    """
    Those of *members* whose checksums follow the last one, see ``checksums``.

    To know them before the first byte is sent, all would be read twice.
    """
    return [one for one in members if one.sha256 is None]


def _render(dumped: Mapping[str, Any]) -> bytes:
    return (json.dumps(dumped, indent=1) + '\n').encode()


def _dump(*systems: Manifest) -> dict[str, Any]:
    return {
        'Format': FORMAT,
        'Version': VERSION,
        'Created': systems[0].created,
        'Systems': [_dump_system(one) for one in systems],
    }


def _dump_system(one: Manifest) -> dict[str, Any]:
    source = one.source
    return {
        'Name': source.system,
        'UUID': source.uuid,
        'Snapshot': {
            'Name': source.snapshot,
            'Description': source.description,
            'Created': source.captured,
            'PowerState': source.power_state,
        },
        'Hypervisor': dict(source.hypervisor),
        'Members': [_member(member) for member in one.members],
        'LeftOut': [
            {'What': left.what, 'Reason': left.reason} for left in one.left_out
        ],
    }


def _load_system(created: int, system: Mapping[str, Any]) -> Manifest:
    snapshot = system['Snapshot']
    return Manifest(
        created,
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
        found.get('SHA256'),
        found.get('Target'),
        found.get('Format'),
        found.get('Capacity'),
    )
