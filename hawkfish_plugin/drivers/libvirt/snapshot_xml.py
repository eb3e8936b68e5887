# SPDX-License-Identifier: Apache-2.0
"""
The XML of snapshots.

Owns the reading of a ``<domainsnapshot>``, the making of one for a create,
and the edits that the snapshots of a domain need.  No libvirt call is made
here; ``xml`` has what is of domains.
"""

from collections.abc import Container, Iterable, Mapping
from xml.etree import ElementTree

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import xml
from hawkfish_plugin.drivers.libvirt.xml import Element

# What no overlay of anybody's ends in.
_FORGOTTEN = '.forgotten'

_POWER_STATES = {
    'running': contract.ON,
    'paused': contract.PAUSED,
    # Of the disks alone, while the system ran.
    'disk-snapshot': contract.ON,
}


def record(root: Element) -> contract.Snapshot:
    """The record of a snapshot, which cannot say whether it is current."""
    memory = _memory_kind(root)
    return contract.Snapshot(
        name=root.findtext('name', ''),
        description=root.findtext('description', ''),
        created=int(root.findtext('creationTime', '0')),
        power_state=_POWER_STATES.get(
            root.findtext('state', ''), contract.OFF
        ),
        memory=memory != 'no',
        external=memory == 'external' or bool(external_disks(root)),
        parent=root.findtext('parent/name'),
    )


def _memory_kind(root: Element) -> str:
    memory = root.find('memory')
    return 'no' if memory is None else memory.get('snapshot', 'no')


def memory_file(root: Element) -> str | None:
    memory = root.find('memory')
    return None if memory is None else memory.get('file')


def external_disks(root: Element) -> dict[str, str | None]:
    """The overlay of each external disk of a snapshot, by its target."""
    found = {}
    for disk in root.findall('disks/disk'):
        if disk.get('snapshot') == 'external':
            found[disk.get('name', '')] = _path_of(disk)
    return found


def _path_of(disk: Element) -> str | None:
    source = disk.find('source')
    return None if source is None else source.get('file')


def forget_overlays(root: Element) -> None:
    """Let a snapshot name no overlay that anything else knows."""
    for disk in root.findall('disks/disk[@snapshot="external"]'):
        for source in disk.findall('source'):
            source.set('file', f'{source.get("file", "")}{_FORGOTTEN}')


def leave_out(root: Element, targets: Container[str]) -> None:
    """Let a snapshot not be one of the disks *targets*."""
    for disk in root.findall('disks/disk'):
        if disk.get('name') in targets:
            disk[:] = []
            disk.attrib.pop('type', None)
            disk.set('snapshot', 'no')
    if root.find('revertDisks') is not None:
        set_revert_disks(root, revert_disks(root))


def _left_out(root: Element) -> list[str]:
    """The targets of the disks that a snapshot is not one of."""
    listed = root.findall("disks/disk[@snapshot='no']")
    return [disk.get('name', '') for disk in listed]


def revert_disks(root: Element) -> dict[str, str | None]:
    """
    By target, the files that a revert removes where this one is current.

    libvirt notes them in ``<revertDisks>``, or else means the overlays.
    """
    reverted = root.find('revertDisks')
    if reverted is None:
        return external_disks(root)
    left_out = _left_out(root)
    return {
        name: _path_of(disk)
        for disk in reverted.findall('disk')
        if (name := disk.get('name', '')) not in left_out
    }


def set_revert_disks(root: Element, paths: Mapping[str, str | None]) -> None:
    """Let *paths* be these files; a target without one keeps its file."""
    for old in root.findall('revertDisks'):
        root.remove(old)
    reverted = ElementTree.SubElement(root, 'revertDisks')
    # libvirt makes ``<disks>`` of them where the child is deleted, and lets
    # the snapshot be one of all disks that are missing there.
    for target, path in {**dict.fromkeys(_left_out(root)), **paths}.items():
        disk = ElementTree.SubElement(reverted, 'disk', name=target)
        disk.set('snapshot', 'external' if path else 'no')
        if path:
            disk.set('type', 'file')
            ElementTree.SubElement(disk, 'driver', type='qcow2')
            ElementTree.SubElement(disk, 'source', file=path)


def is_merge_target(root: Element) -> bool:
    """Whether a merge into a disk of this snapshot was interrupted."""
    return root.find('disks/disk/snapshotDeleteInProgress') is not None


def end_merge(root: Element) -> bool:
    """Forget that one was interrupted; returns whether it was."""
    found = False
    for disk in root.findall('disks/disk'):
        for mark in disk.findall('snapshotDeleteInProgress'):
            disk.remove(mark)
            found = True
    return found


def captured_disks(root: Element) -> list[xml.Disk]:
    """The disks as they were when the snapshot was taken."""
    domain = root.find('domain')
    return [] if domain is None else xml.disks(domain)


def configured_disks(root: Element) -> list[xml.Disk]:
    """Those of the definition for the next start, where that was another."""
    domain = root.find('inactiveDomain')
    return [] if domain is None else xml.disks(domain)


def external_snapshot(
    name: str,
    description: str,
    memory: str | None,
    overlays: Mapping[str, str],
    left_out: Iterable[str],
) -> str:
    """XML for an external snapshot: *overlays* are paths by target."""
    root = _named(name, description)
    if memory:
        ElementTree.SubElement(
            root, 'memory', snapshot='external', file=memory
        )
    else:
        ElementTree.SubElement(root, 'memory', snapshot='no')
    listed = ElementTree.SubElement(root, 'disks')
    for target, path in overlays.items():
        disk = ElementTree.SubElement(
            listed, 'disk', name=target, snapshot='external', type='file'
        )
        ElementTree.SubElement(disk, 'driver', type='qcow2')
        ElementTree.SubElement(disk, 'source', file=path)
    _leave_out(listed, left_out)
    return xml.render(root)


def internal_snapshot(
    name: str,
    description: str,
    targets: Iterable[str],
    left_out: Iterable[str],
) -> str:
    """XML for an internal snapshot of the disks *targets*."""
    root = _named(name, description)
    listed = ElementTree.SubElement(root, 'disks')
    for target in targets:
        ElementTree.SubElement(
            listed, 'disk', name=target, snapshot='internal'
        )
    _leave_out(listed, left_out)
    return xml.render(root)


def _named(name: str, description: str) -> Element:
    root = Element('domainsnapshot')
    ElementTree.SubElement(root, 'name').text = name
    ElementTree.SubElement(root, 'description').text = description
    return root


def set_name(root: Element, name: str) -> None:
    """Let a snapshot have another name."""
    for element in root.findall('name'):
        element.text = name


def set_description(root: Element, description: str) -> None:
    """Let a snapshot have another description."""
    element = root.find('description')
    if element is None:
        element = ElementTree.SubElement(root, 'description')
    element.text = description


def _leave_out(listed: Element, targets: Iterable[str]) -> None:
    for target in targets:
        ElementTree.SubElement(listed, 'disk', name=target, snapshot='no')


def captured_elements(root: Element) -> list[Element]:
    """The disks as they were, of both definitions that it has."""
    return [
        disk
        for domain in ('domain', 'inactiveDomain')
        for disk in root.findall(f'{domain}/devices/disk')
    ]


def resolve_volumes(root: Element, paths: Mapping[str, str]) -> bool:
    """
    Name the files of pool volumes in a snapshot; *paths* are by target.

    libvirt reverts to a volume only where it is named by its path.  Returns
    whether anything was changed.
    """
    changed = False
    for disk in captured_elements(root):
        path = paths.get(xml.target_of(disk))
        changed = bool(path and xml.resolve_volume(disk, path)) or changed
    return changed


def let_run(root: Element) -> bool:
    """Say of a paused system that it ran; returns whether it was paused."""
    state = root.find('state')
    if state is None or state.text != 'paused':
        return False
    state.text = 'running'
    return True


def insert_media(root: Element, before: Element) -> bool:
    """
    Put the media of the snapshot *before* back into its later form *root*.

    Returns whether anything was changed.
    """
    drives = {
        xml.target_of(disk): disk
        for disk in captured_elements(before)
        if disk.get('device') in xml.REMOVABLE
    }
    changed = False
    for disk in captured_elements(root):
        drive = drives.get(xml.target_of(disk))
        if drive is not None and disk.find('source') is None:
            changed = changed or drive.find('source') is not None
            disk.attrib.update(drive.attrib)
            disk[:] = list(drive)
    return changed
