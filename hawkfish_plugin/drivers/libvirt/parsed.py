# SPDX-License-Identifier: Apache-2.0
"""
What the XML of a snapshot says, parsed once for each text.

libvirt is asked for the XML every time, as any client may have changed any
snapshot; but a text that was parsed before still says the same.  So nothing
that is remembered here is ever out of date.
"""

import dataclasses
import functools
import hashlib
import posixpath
import threading
from collections.abc import Mapping

import cachetools

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import filenames, snapshot_xml, xml

# Some KiB each.
_MOST_REMEMBERED = 4096


@dataclasses.dataclass(frozen=True)
class ParsedSnapshot:
    """
    One snapshot: its *record*, which cannot say whether it is current.

    *external* are the overlays of its external disks, by target, *captured*
    all disks as they were when it was taken, and *configured* those besides
    that its next start would have had.  *copies* are those that a
    snapshot of this driver has of the firmware's state, by kind, and *files*
    is every file that the text names.  *merging* says that a merge into one
    of the overlays was interrupted.
    """

    record: contract.Snapshot
    memory_file: str | None
    external: Mapping[str, str | None]
    captured: tuple[xml.Disk, ...]
    copies: Mapping[str, str]
    files: frozenset[str]
    merging: bool
    configured: tuple[xml.Disk, ...] = ()

    @functools.cached_property
    def own_files(self) -> tuple[str, ...]:
        """The files that no disk is made of."""
        memory = [self.memory_file] if self.memory_file else []
        return (*memory, *self.copies.values())

    @functools.cached_property
    def disks(self) -> tuple[xml.Disk, ...]:
        """The disks that are captured in files."""
        return tuple(d for d in self.captured if d.target in self.external)

    @functools.cached_property
    def overlays(self) -> frozenset[str]:
        """What comes after these disks."""
        return frozenset(filter(None, self.external.values()))

    @functools.cached_property
    def paths(self) -> frozenset[str]:
        """The files of all captured disks."""
        return frozenset(disk.path for disk in self.captured if disk.path)


def parse(root: xml.Element) -> ParsedSnapshot:
    """What *root*, a ``<domainsnapshot>``, says."""
    record = snapshot_xml.record(root)
    external = snapshot_xml.external_disks(root)
    captured = tuple(snapshot_xml.captured_disks(root))
    return ParsedSnapshot(
        record=record,
        memory_file=snapshot_xml.memory_file(root),
        external=external,
        captured=captured,
        copies=_firmware_copies(
            root,
            record.power_state == contract.OFF,
            [d.path for d in captured if d.target in external and d.path],
        ),
        files=frozenset(
            source.get('file', '') for source in root.iter('source')
        ),
        merging=snapshot_xml.is_merge_target(root),
        configured=tuple(
            disk
            for disk in snapshot_xml.configured_disks(root)
            if disk.target not in {d.target for d in captured}
        ),
    )


def _firmware_copies(
    root: xml.Element, off: bool, paths: list[str]
) -> dict[str, str]:
    domain = root.find('domain')
    if domain is None or not paths:
        return {}
    token = filenames.token_of(
        domain.findtext('uuid'),
        root.findtext('name'),
        root.findtext('creationTime'),
    )
    return filenames.firmware_copies(
        posixpath.dirname(paths[0]), token, xml.firmware(domain, off)
    )


class ParsedSnapshots:
    """The snapshots that were parsed last."""

    def __init__(self) -> None:
        self._seen: cachetools.LRUCache[bytes, ParsedSnapshot] = (
            cachetools.LRUCache(_MOST_REMEMBERED)
        )
        self._lock = threading.Lock()

    def read(self, text: str) -> ParsedSnapshot:
        """What *text*, a ``<domainsnapshot>``, says."""
        key = hashlib.blake2b(text.encode(), digest_size=16).digest()
        with self._lock:
            found = self._seen.get(key)
        if found is None:
            found = parse(xml.parse(text))
            with self._lock:
                self._seen[key] = found
        return found
