# SPDX-License-Identifier: Apache-2.0
"""
The definitions that a revert leaves.

Owns what becomes of the disks of a captured definition: those that go back
get a new overlay, read-only disks and drives stay what they were, and a
writable disk that no snapshot holds stays as it is now.  No libvirt call is
made here, and the definitions that are given are left alone.
"""

import copy
from collections.abc import Collection, Mapping
from xml.etree import ElementTree

from hawkfish_plugin.drivers.libvirt import xml
from hawkfish_plugin.drivers.libvirt.xml import Element

# What libvirt finds out anew when it starts a domain.
_FOUND_OUT = 'backingStore', 'mirror'


def next_start(snapshot: Element, name: str) -> Element:
    """The captured definition for the next start, of a system now *name*."""
    captured = snapshot.find('inactiveDomain')
    if captured is None:
        captured = snapshot.find('domain')
    root = copy.deepcopy(Element('domain') if captured is None else captured)
    root.tag = 'domain'
    root.attrib.pop('id', None)
    named = root.find('name')
    if named is not None:
        named.text = name
    return root


def put_on(
    captured: Element,
    overlays: Mapping[str, str],
    present: Element,
    gone: Collection[str],
) -> Element:
    """
    The definition *captured* on *overlays*, which are by target.

    *present* is the definition before the revert, and *gone* are the media
    that are there no more.
    """
    root = copy.deepcopy(captured)
    now = {xml.target_of(d): d for d in present.findall('devices/disk')}
    for disk in root.findall('devices/disk'):
        for name in _FOUND_OUT:
            for element in disk.findall(name):
                disk.remove(element)
        target = xml.target_of(disk)
        if target in overlays:
            _put_overlay(disk, overlays[target])
        elif is_left_alone(disk) and target in now:
            _replace(disk, now[target])
        elif disk.get('device') in xml.REMOVABLE:
            _eject(disk, gone)
    return root


def is_left_alone(disk: Element) -> bool:
    """Whether a disk that gets no overlay stays as it is now."""
    removable = disk.get('device') in xml.REMOVABLE
    return not removable and disk.find('readonly') is None


def _put_overlay(disk: Element, path: str) -> None:
    source = disk.find('source')
    kept = [] if source is None else source.findall('seclabel')
    if source is not None:
        disk.remove(source)
    disk.set('type', 'file')
    made = ElementTree.SubElement(disk, 'source', file=path)
    made.extend(kept)
    driver = disk.find('driver')
    if driver is None:
        driver = ElementTree.SubElement(disk, 'driver', name='qemu')
    driver.set('type', 'qcow2')


def _replace(disk: Element, other: Element) -> None:
    """Let *disk* be kept in what the disk *other* is kept in."""
    disk.set('type', other.get('type', 'file'))
    for name in ('source', 'driver'):
        for element in disk.findall(name):
            disk.remove(element)
        disk.extend(copy.deepcopy(e) for e in other.findall(name))


def _eject(drive: Element, gone: Collection[str]) -> None:
    source = drive.find('source')
    if source is not None and source.get('file') in gone:
        drive.remove(source)
