# SPDX-License-Identifier: Apache-2.0
"""
Reading a bundle that somebody has sent.

Nothing of it is trusted: not a name, not a size, not a type of tar.  What does
not fit its own manifest is refused where that is seen, and no more than a part
of it is ever in memory.
"""

import hashlib
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles import checksums, manifest
from hawkfish_plugin.bundles.archive import BLOCK, END
from hawkfish_plugin.bundles.manifest import Bundle, Lab, Member

Read = Callable[[int], bytes]
"""At most so many bytes of what is left; none at the end"""

PART_BYTES = 2**20
# The definition is kept with the task that imports it.
_MANIFEST_BYTES, _DEFINITION_BYTES = 2**20, 256 * 2**10
_TEXT_BYTES = 4 * 2**20
_FIRMWARE_BYTES = 128 * 2**20
_PAX_BYTES = 64 * 2**10
_MOST_SYSTEMS, _MOST_MEMBERS = 100, 256
# What tar adds at the end, to fill a record.
_RECORD_BYTES = 20 * BLOCK
_MOST_BYTES = 2**60
# What begins as zstd, gzip, xz and bzip2 do.
_COMPRESSED = b'\x28\xb5\x2f\xfd', b'\x1f\x8b', b'\xfd7zXZ', b'BZh'

_NAME = re.compile(r'(\w[\w.-]{0,99}/){0,3}\w[\w.-]{0,99}', re.ASCII)
_TARGET = re.compile(r'[a-z][a-z0-9]{0,15}')
_DIGEST = re.compile(r'[0-9a-f]{64}')
_FORMATS = ('qcow2', 'raw')
_LIMITS = {
    manifest.DOMAIN: _DEFINITION_BYTES,
    manifest.SNAPSHOT: _TEXT_BYTES,
    manifest.FIRMWARE: _FIRMWARE_BYTES,
    manifest.DISK: _MOST_BYTES,
    manifest.MEMORY: _MOST_BYTES,
}


class Reader:
    """A bundle of *length* bytes, which *read* gives one after the other."""

    def __init__(self, read: Read, length: int) -> None:
        self._read = read
        self._left = length
        # What the checksums at its end have to be; older ones have none.
        self._sums = dict[str, str]()
        self._is_summed = False

    def manifest(self) -> Bundle:
        """
        What the bundle says of itself; to be called first, and once.

        Raises BundleInvalid and BundleTooNew.
        """
        size = self._header(manifest.NAME)
        if size > _MANIFEST_BYTES:
            raise _invalid('its manifest is too big')
        text = self._take(size)
        self._fill(size)
        self._sums = checksums.of_manifest(text)
        version, checked = _checked(_json(text, 'its manifest is'))
        self._is_summed = version >= manifest.SUMMED
        if sum(one.size for one in checked.members) > self._left:
            raise _invalid('it is shorter than its manifest says')
        return checked

    def members(
        self, described: Bundle
    ) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """
        Each member that is *described*, with its content in parts.

        Those have to be taken; what is not as described raises BundleInvalid,
        after the last member at the latest.
        """
        for member in described.members:
            if self._header(member.name) != member.size:
                raise _invalid(f'{member.name} is not as big as it says')
            yield member, self._content(member)
            self._fill(member.size)
        if self._is_summed:
            self._check()
        self._end()

    def _content(self, member: Member) -> Iterator[bytes]:
        is_late = member.sha256 is None
        digest = checksums.Parted() if is_late else hashlib.sha256()
        left = member.size
        while left:
            part = self._take(min(left, PART_BYTES))
            digest.update(part)
            left -= len(part)
            yield part
        if is_late:
            self._sums[member.name] = digest.hexdigest()
        elif digest.hexdigest() != member.sha256:
            raise _wrong(member.name)

    def _check(self) -> None:
        """Take the checksums at the end, and compare them."""
        size = self._header(checksums.NAME)
        if size > _MANIFEST_BYTES:
            raise _invalid('its checksums are too big')
        text = self._take(size)
        self._fill(size)
        found = _json(text, 'its checksums are')
        if not isinstance(found, dict):
            raise _invalid('its checksums are none')
        # The first ones of this version did not have that of the manifest.
        if manifest.NAME not in found:
            del self._sums[manifest.NAME]
        for name, checksum in self._sums.items():
            if found.get(name) != checksum:
                raise _wrong(name)

    def _header(self, wanted: str) -> int:
        """The size of the next member, which has to be the file *wanted*."""
        size: int | None = None
        for _ in range(2):
            info = self._info()
            if info.type != tarfile.XHDTYPE:
                break
            size = self._pax(info.size)
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise _invalid('it has something that is no plain file')
        if info.name != wanted:
            raise _invalid(f'{wanted} is not where it belongs')
        return info.size if size is None else size

    def _info(self) -> tarfile.TarInfo:
        block = self._take(BLOCK)
        try:
            found = tarfile.TarInfo.frombuf(block, 'utf-8', 'surrogateescape')
        except tarfile.HeaderError:
            if block.startswith(_COMPRESSED):
                raise _invalid('it is compressed') from None
            raise _invalid('it is no tar, or ends too early') from None
        if found.size < 0:
            raise _invalid('it has a file of no size')
        return found

    def _pax(self, size: int) -> int | None:
        """The size that an extended header gives the next file."""
        if size > _PAX_BYTES:
            raise _invalid('it has a header that is too big')
        data = self._take(size)
        self._fill(size)
        found = re.search(rb'(?:^|\n)\d+ size=(\d{1,19})\n', data)
        return int(found[1]) if found else None

    def _fill(self, size: int) -> None:
        """Take what fills the last block of a file of *size* bytes."""
        if any(self._take(-size % BLOCK)):
            raise _invalid('it has more than its manifest says')

    def _end(self) -> None:
        """Take what ends the tar, and raise where there is more."""
        if self._left < len(END):
            raise _invalid('it ends too early')
        if self._left > _RECORD_BYTES + len(END):
            raise _invalid('it has more than its manifest says')
        if any(self._take(self._left)):
            raise _invalid('it has more than its manifest says')

    def _take(self, count: int) -> bytes:
        """Exactly *count* bytes."""
        if count > self._left:
            raise _invalid('it ends too early')
        data = b''
        while len(data) < count:
            part = self._read(count - len(data))
            if not part:
                raise _invalid('it ends too early')
            data += part
        self._left -= count
        return data


def _invalid(reason: str) -> exceptions.HawkFishError:
    return exceptions.BundleInvalid(reason)


def _wrong(name: str) -> exceptions.HawkFishError:
    return _invalid(f'the checksum of {name} is wrong')


def _json(text: bytes, what: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid(f'{what} not JSON') from None


def _checked(found: object) -> tuple[int, Bundle]:
    """The version of *found*, and what it says, if all of it makes sense."""
    if not isinstance(found, dict) or found.get('Format') != manifest.FORMAT:
        raise _invalid('it has no manifest of a bundle')
    version = found.get('Version')
    if type(version) is not int or version < 1:
        raise _invalid('its version is no number')
    if version > manifest.VERSION:
        raise exceptions.BundleTooNew(version, manifest.VERSION)
    try:
        _check_systems(found)
        checked = manifest.load(found)
    except (KeyError, TypeError, IndexError, AttributeError):
        raise _invalid('its manifest is incomplete') from None
    for system in checked.systems:
        check_members(system.members, version >= manifest.SUMMED)
    if isinstance(checked, Lab):
        _check_lab(checked)
    return version, checked


def _check_systems(found: Mapping[str, Any]) -> None:
    systems = found['Systems']
    most = _MOST_SYSTEMS if manifest.is_lab(found) else 1
    if not isinstance(systems, list) or not 1 <= len(systems) <= most:
        raise _invalid('it does not have as many systems as it may')
    if type(found['Created']) is not int:
        raise _invalid('its manifest makes no sense')
    for system in systems:
        _check_system(system)


def _check_system(system: Mapping[str, Any]) -> None:
    snapshot, members = system['Snapshot'], system['Members']
    left_out = system.get('LeftOut', [])
    texts = [system['Name'], system['UUID'], snapshot['Name']]
    texts.append(snapshot.get('Description', ''))
    texts += system.get('Hypervisor', {}).values()
    texts += [one[name] for one in left_out for name in ('What', 'Reason')]
    power_state = snapshot['PowerState']
    if power_state is not None:
        texts.append(power_state)
    if (
        not all(isinstance(text, str) for text in texts)
        or not all(isinstance(one, list) for one in (members, left_out))
        or len(members) > _MOST_MEMBERS
        or type(snapshot['Created']) is not int
    ):
        raise _invalid('its manifest makes no sense')


def _check_lab(lab: Lab) -> None:
    if not isinstance(lab.group, str):
        raise _invalid('its manifest makes no sense')
    names = [one.name for one in lab.members]
    uuids = [one.source.uuid for one in lab.systems]
    systems = [one.source.system for one in lab.systems]
    for found in (names, uuids, systems):
        if len(set(found)) != len(found):
            raise _invalid('it has one name twice')


def check_members(members: Sequence[Member], late: bool = False) -> None:
    """
    Raise BundleInvalid where they are not those of one system.

    Checksums may be *late*, see ``manifest.late``.
    """
    if len(members) > _MOST_MEMBERS:
        raise _invalid('it has too many members')
    for member in members:
        _check_member(member)
        if not _has_checksum(member, late):
            raise _invalid(f'the checksum of {member.name} is none')
    names = [one.name.rpartition('/')[2] for one in members]
    targets = [(one.role, one.target) for one in members if one.target]
    roles = [one.role for one in members]
    if len({*names, 'manifest.json'}) != len(names) + 1 or (
        len(set(targets)) != len(targets)
    ):
        raise _invalid('it has one name twice')
    if roles[:1] != [manifest.DOMAIN] or roles.count(manifest.DOMAIN) > 1:
        raise _invalid('it does not begin with the definition of its system')
    if manifest.DISK not in roles:
        raise _invalid('it has no disk')
    if roles.count(manifest.MEMORY) > 1:
        raise _invalid('it has more than one memory')


def _check_member(member: Member) -> None:
    if not all(
        isinstance(text, str) for text in (member.name, member.role)
    ) or not _NAME.fullmatch(member.name):
        raise _invalid('it has a name that is not allowed')
    limit = _LIMITS.get(member.role)
    if limit is None:
        raise _invalid(f'the role of {member.name} is not known')
    if type(member.size) is not int or not 0 <= member.size <= limit:
        raise _invalid(f'the size of {member.name} is not possible')
    if member.role in (manifest.DISK, manifest.FIRMWARE):
        _check_target(member)
    elif not all(
        isinstance(one, str | None) for one in (member.target, member.format)
    ):
        raise _invalid(f'what is said of {member.name} makes no sense')


def _has_checksum(member: Member, late: bool) -> bool:
    if member.sha256 is None:
        return late and member.role in manifest.LARGE
    return isinstance(member.sha256, str) and bool(
        _DIGEST.fullmatch(member.sha256)
    )


def _check_target(member: Member) -> None:
    if not isinstance(member.target, str) or not (
        _TARGET.fullmatch(member.target)
    ):
        raise _invalid(f'the target of {member.name} is none')
    if member.role == manifest.DISK and (
        member.format not in _FORMATS
        or type(member.capacity) is not int
        or not 0 < member.capacity <= _MOST_BYTES
    ):
        raise _invalid(f'the format of {member.name} is not known')
