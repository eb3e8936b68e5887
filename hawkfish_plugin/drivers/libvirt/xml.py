# SPDX-License-Identifier: Apache-2.0
"""
The XML of domains and snapshots.

Owns the reading of what libvirt tells and the few edits that its snapshots
need.  No libvirt call is made here.  The XML is libvirt's own, so the parser
of the standard library is safe for it; what users wrote is only ever set as
text or attribute of an element.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree

from hawkfish_plugin.drivers import contract

_MEDIA = ('cdrom', 'floppy')
_POWER_STATES = {
    'running': contract.ON,
    'paused': contract.PAUSED,
    # Of the disks alone, while the system ran.
    'disk-snapshot': contract.ON,
}

_SUSHY = '{http://openstack.org/xmlns/libvirt/sushy}'

Element = ElementTree.Element
ParseError = ElementTree.ParseError


@dataclasses.dataclass(frozen=True)
class Disk:
    """
    A disk of a domain.

    *kind* is libvirt's source type (file, volume, block, ...), *path* the
    file of kind file, *volume* the pool and volume of kind volume, *depth*
    how many files lie below it.
    """

    target: str
    device: str
    kind: str
    format: str
    path: str | None
    volume: tuple[str, str] | None
    readonly: bool
    shareable: bool
    transient: bool
    snapshot: str | None
    depth: int

    @property
    def is_media(self) -> bool:
        return self.device in _MEDIA


def parse(text: str) -> Element:
    return ElementTree.fromstring(text)  # noqa: S314


def render(element: Element) -> str:
    return ElementTree.tostring(element, encoding='unicode')


# Domains ------------------------------------------------------------------


def disks(domain: Element) -> list[Disk]:
    return [_disk(element) for element in domain.findall('devices/disk')]


def _disk(element: Element) -> Disk:
    source = element.find('source')
    if source is None:
        source = Element('source')
    driver = element.find('driver')
    pool, volume = source.get('pool'), source.get('volume')
    return Disk(
        target=_place(element),
        device=element.get('device', 'disk'),
        kind=element.get('type', 'file'),
        format='raw' if driver is None else driver.get('type', 'raw'),
        path=source.get('file'),
        volume=(pool, volume) if pool and volume else None,
        readonly=element.find('readonly') is not None,
        shareable=element.find('shareable') is not None,
        transient=element.find('transient') is not None,
        snapshot=element.get('snapshot'),
        depth=_depth(element),
    )


def _depth(disk: Element) -> int:
    depth = 0
    below = disk.find('backingStore')
    while below is not None and below.find('source') is not None:
        depth += 1
        below = below.find('backingStore')
    return depth


def has_emulator_defaults(domain: Element) -> bool:
    """Whether the emulator has noted its BIOS defaults in a definition."""
    return all(
        domain.find(f'metadata/{_SUSHY}bios/{_SUSHY}{name}') is not None
        for name in ('attributes', 'versions')
    )


def chain(domain: Element) -> set[str]:
    """Every file that the disks of a domain name, backing files included."""
    return set(files(domain))


def files(domain: Element) -> list[str]:
    """The same, the uppermost file of each disk first."""
    return [
        path
        for disk in domain.findall('devices/disk')
        for source in disk.iter('source')
        if (path := source.get('file'))
    ]


def nvram_format(domain: Element) -> str | None:
    """The format of the UEFI variables; None without UEFI."""
    loader, nvram = domain.find('os/loader'), domain.find('os/nvram')
    is_flash = loader is not None and loader.get('type') == 'pflash'
    if nvram is None and not is_flash:
        return None
    return 'raw' if nvram is None else nvram.get('format', 'raw')


def agent_state(domain: Element) -> str:
    """The channel of the guest agent: connected, disconnected or absent."""
    for target in domain.findall('devices/channel/target'):
        if target.get('name') == 'org.qemu.guest_agent.0':
            return target.get('state', 'disconnected')
    return 'absent'


def devices_of_the_host(domain: Element) -> list[str]:
    """The devices whose state QEMU cannot save with the memory."""
    assigned = [
        f'hostdev of type {device.get("type")}'
        for device in domain.findall('devices/hostdev')
        if device.get('type') != 'usb'
    ]
    shared = [
        'filesystem of type virtiofs'
        for driver in domain.findall('devices/filesystem/driver')
        if driver.get('type') == 'virtiofs'
    ]
    return assigned + shared


def firmware(domain: Element, off: bool) -> dict[str, str]:
    """
    The files of the UEFI variables and of the virtual TPM, by their kind.

    Without those that cannot be copied unless the domain is *off*: QEMU keeps
    parts of a qcow2 file in its memory.
    """
    found = {}
    nvram = domain.find('os/nvram')
    if nvram is not None and (off or nvram_format(domain) == 'raw'):
        source = nvram.find('source')
        path = nvram.text if source is None else source.get('file')
        found['nvram'] = (path or '').strip()
    backend = domain.find('devices/tpm/backend')
    if backend is not None and backend.get('type') == 'emulator':
        found['tpm'] = _tpm_file(domain, backend)
    return {kind: path for kind, path in found.items() if path}


def _tpm_file(domain: Element, backend: Element) -> str:
    # swtpm's own names; the folder is libvirt's for a system daemon.
    old = backend.get('version') == '1.2'
    folder, file = ('tpm1.2', 'tpm-00') if old else ('tpm2', 'tpm2-00')
    source = backend.find('source')
    if source is not None and source.get('type') == 'file':
        return source.get('path', '')
    uuid = domain.findtext('uuid', '')
    own = f'/var/lib/libvirt/swtpm/{uuid}/{folder}'
    if source is not None:
        own = source.get('path', own)
    return f'{own}/{file}.permall'


# Snapshots ----------------------------------------------------------------


def snapshot(root: Element, current: str | None) -> contract.Snapshot:
    """The record of one ``<domainsnapshot>``."""
    name = root.findtext('name', '')
    memory = _memory_kind(root)
    return contract.Snapshot(
        name=name,
        description=root.findtext('description', ''),
        created=int(root.findtext('creationTime', '0')),
        power_state=_POWER_STATES.get(
            root.findtext('state', ''), contract.OFF
        ),
        memory=memory != 'no',
        external=memory == 'external' or bool(external_disks(root)),
        parent=root.findtext('parent/name'),
        current=name == current,
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


def noted_overlays(root: Element) -> dict[str, str | None]:
    """
    By target, the files that a revert removes where this is the current one.
    """
    reverted = root.find('revertDisks')
    if reverted is None:
        return external_disks(root)
    return {
        disk.get('name', ''): _path_of(disk)
        for disk in reverted.findall('disk')
    }


def note_overlays(root: Element, paths: Mapping[str, str | None]) -> None:
    """Let *paths* be these files; a target without one keeps its file."""
    for old in root.findall('revertDisks'):
        root.remove(old)
    reverted = ElementTree.SubElement(root, 'revertDisks')
    for target, path in paths.items():
        disk = ElementTree.SubElement(reverted, 'disk', name=target)
        disk.set('snapshot', 'external' if path else 'no')
        if path:
            disk.set('type', 'file')
            ElementTree.SubElement(disk, 'driver', type='qcow2')
            ElementTree.SubElement(disk, 'source', file=path)


def is_merge_target(root: Element) -> bool:
    """Whether a merge into a disk of this snapshot has broken off."""
    return root.find('disks/disk/snapshotDeleteInProgress') is not None


def end_merge(root: Element) -> bool:
    """Forget that one has broken off; returns whether it had."""
    found = False
    for disk in root.findall('disks/disk'):
        for mark in disk.findall('snapshotDeleteInProgress'):
            disk.remove(mark)
            found = True
    return found


def captured_disks(root: Element) -> list[Disk]:
    """The disks as they were when the snapshot was taken."""
    domain = root.find('domain')
    return [] if domain is None else disks(domain)


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
    return render(root)


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
    return render(root)


def _named(name: str, description: str) -> Element:
    root = Element('domainsnapshot')
    ElementTree.SubElement(root, 'name').text = name
    ElementTree.SubElement(root, 'description').text = description
    return root


def set_description(root: Element, description: str) -> None:
    """Let a snapshot have another description."""
    element = root.find('description')
    if element is None:
        element = ElementTree.SubElement(root, 'description')
    element.text = description


def _leave_out(listed: Element, targets: Iterable[str]) -> None:
    for target in targets:
        ElementTree.SubElement(listed, 'disk', name=target, snapshot='no')


def _captured(root: Element) -> list[Element]:
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
    for disk in _captured(root):
        source, path = disk.find('source'), paths.get(_place(disk))
        if disk.get('type') == 'volume' and source is not None and path:
            disk.set('type', 'file')
            for name in ('pool', 'volume', 'mode'):
                source.attrib.pop(name, None)
            source.set('file', path)
            changed = True
    return changed


def eject_media(root: Element) -> bool:
    """
    Take the media out of the drives in a snapshot.

    A revert would fail for a medium that is gone, and put an overlay over one
    that is not.  Returns whether anything was changed.
    """
    changed = False
    for disk in _captured(root):
        if disk.get('device') in _MEDIA and disk.find('source') is not None:
            for name in ('source', 'backingStore'):
                for element in disk.findall(name):
                    disk.remove(element)
            changed = True
    media = {disk.target for disk in captured_disks(root) if disk.is_media}
    for disk in root.findall('disks/disk'):
        if disk.get('name') in media and disk.get('snapshot') != 'no':
            disk.set('snapshot', 'no')
            for element in list(disk):
                disk.remove(element)
            changed = True
    return changed


def insert_media(root: Element, before: Element) -> bool:
    """
    Put the media of the snapshot *before* back into its later form *root*.

    Returns whether anything was changed.
    """
    drives = {
        _place(disk): disk
        for disk in _captured(before)
        if disk.get('device') in _MEDIA
    }
    changed = False
    for disk in _captured(root):
        drive = drives.get(_place(disk))
        if drive is not None and disk.find('source') is None:
            changed = changed or drive.find('source') is not None
            disk.attrib.update(drive.attrib)
            disk[:] = list(drive)
    return changed


def _place(disk: Element) -> str:
    target = disk.find('target')
    return '' if target is None else target.get('dev', '')


def media(domain: Element) -> dict[str, str]:
    """The XML of each drive with a medium in it, by its target."""
    return {
        _place(element): render(element)
        for element in domain.findall('devices/disk')
        if element.get('device') in _MEDIA
        and element.find('source') is not None
    }


def source_file(disk: str) -> str:
    """The file that the XML of a drive names, or '' where it names none."""
    source = parse(disk).find('source')
    return '' if source is None else source.get('file', '')


def alias(domain: Element, target: str) -> str:
    """What QEMU calls the device of a disk of a running domain."""
    for element in domain.findall('devices/disk'):
        found = element.find('alias')
        if _place(element) == target and found is not None:
            return found.get('name', '')
    return ''
