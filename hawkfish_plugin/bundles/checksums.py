# SPDX-License-Identifier: Apache-2.0
"""
The checksums of a bundle that follow its files.

Those of what has none in the manifest, and that of the manifest itself: there
is no other that would tell of a changed name or time.

Owns how that of a file is made.  It is the SHA-256 of the SHA-256 of each of
its parts, so whoever sends a file again from the middle on need not begin
anew: what is known of the other parts holds.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import Bundle, Member

NAME = 'checksums.json'
PART_BYTES = 64 * 2**20
_UNKNOWN = '0' * 64


def combined(parts: Iterable[bytes]) -> str:
    """The checksum of what has *parts* of these digests, in their order."""
    return hashlib.sha256(b''.join(parts)).hexdigest()


def parts(member: Member) -> range:
    """Where the parts of *member* begin."""
    return range(0, member.size, PART_BYTES)


class Parted:
    """The checksum of content that comes bit by bit, as ``hashlib`` has it."""

    def __init__(self) -> None:
        self._digests = list[bytes]()
        self._part = hashlib.sha256()
        self._left = PART_BYTES

    def update(self, data: bytes) -> None:
        """Take what comes next."""
        view = memoryview(data)
        while view:
            taken = view[: self._left]
            self._part.update(taken)
            self._left -= len(taken)
            view = view[len(taken) :]
            if not self._left:
                self._digests.append(self._part.digest())
                self._part, self._left = hashlib.sha256(), PART_BYTES

    def hexdigest(self) -> str:
        """The checksum of all that was taken."""
        rest = [self._part.digest()] if self._left < PART_BYTES else []
        return combined([*self._digests, *rest])


def of_manifest(text: bytes) -> dict[str, str]:
    """The checksum of the manifest whose bytes are *text*, by its name."""
    digest = Parted()
    digest.update(text)
    return {manifest.NAME: digest.hexdigest()}


def render(described: Bundle, sums: Mapping[str, str]) -> bytes:
    """The bytes of the file of that name; *sums* are by name of member."""
    found = {**of_manifest(described.render()), **sums}
    return (json.dumps(found, indent=1) + '\n').encode()


def size(described: Bundle) -> int:
    """How long it is, before any checksum is known."""
    late = manifest.late(described.members)
    return len(render(described, {one.name: _UNKNOWN for one in late}))
