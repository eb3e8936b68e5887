# SPDX-License-Identifier: Apache-2.0
"""
What the XML of a snapshot says, read once for each text.

libvirt is asked for the XML at every look, as any client may have changed any
snapshot; but a text that was read before still says the same.  So what is
remembered here can never be out of date.
"""

import dataclasses
import hashlib
import threading

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import firmware, xml

# Some KiB each.
_MOST_REMEMBERED = 4096

_remembered: dict[bytes, 'ParsedSnapshot'] = {}
_lock = threading.Lock()


@dataclasses.dataclass(frozen=True)
class ParsedSnapshot:
    """
    One snapshot: its *record*, which cannot say whether it is current.

    *own* are the files that no disk is made of; *disks* those that are
    captured in files, and *overlays* what comes after these; *captured* are
    the paths of all disks, and *named* is every file in the text.  *merging*
    says that a merge into one of the overlays has broken off.
    """

    record: contract.Snapshot
    own: tuple[str, ...]
    disks: tuple[xml.Disk, ...]
    overlays: frozenset[str | None]
    captured: frozenset[str | None]
    named: frozenset[str]
    merging: bool


def read(text: str) -> ParsedSnapshot:
    """What *text*, a ``<domainsnapshot>``, says."""
    key = hashlib.blake2b(text.encode(), digest_size=16).digest()
    found = _remembered.get(key)
    if found is None:
        found = _read(xml.parse(text))
        with _lock:
            while len(_remembered) >= _MOST_REMEMBERED:
                del _remembered[next(iter(_remembered))]
            _remembered[key] = found
    return found


def _read(root: xml.Element) -> ParsedSnapshot:
    external = xml.external_disks(root)
    disks = xml.captured_disks(root)
    memory = xml.memory_file(root)
    return ParsedSnapshot(
        record=xml.snapshot(root, None),
        own=(*([memory] if memory else []), *firmware.copies(root).values()),
        disks=tuple(disk for disk in disks if disk.target in external),
        overlays=frozenset(external.values()),
        captured=frozenset(disk.path for disk in disks),
        named=frozenset(
            source.get('file', '') for source in root.iter('source')
        ),
        merging=xml.is_merge_target(root),
    )
