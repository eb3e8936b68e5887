# SPDX-License-Identifier: Apache-2.0
"""
The XML of domains.

Owns the reading of a definition; ``snapshot_xml`` has what is of snapshots
alone.  No libvirt call is made here.  The XML is libvirt's own, so the parser
of the standard library is safe for it; what users wrote is only ever set as
text or attribute of an element.
"""

import copy
import dataclasses
import itertools
from collections.abc import Callable, Container, Iterable
from xml.etree import ElementTree

REMOVABLE = ('cdrom', 'floppy')
SYSTEM_SWTPM = '/var/lib/libvirt/swtpm'
# What makes a disk something else than what its file holds.
_REMAPPING = ('slices', 'dataStore')
_SUSHY = '{http://openstack.org/xmlns/libvirt/sushy}'

Element = ElementTree.Element
ParseError = ElementTree.ParseError


@dataclasses.dataclass(frozen=True)
class Disk:
    """
    A disk of a domain.

    *kind* is libvirt's source type (file, volume, block, ...), *path* the
    file of kind file, *volume* the pool and volume of kind volume, *depth*
    how many backing files it has.  *encrypted* is what QEMU encrypts;
    *remapped* is the element of its source that makes it something else than
    what its file holds.  *block* is the path of the device of kind block.
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
    encrypted: bool = False
    remapped: str | None = None
    block: str | None = None

    @property
    def is_removable(self) -> bool:
        return self.device in REMOVABLE

    @property
    def is_captured(self) -> bool:
        """Whether snapshots capture it; media and what is read-only not."""
        return not self.is_removable and not self.readonly


@dataclasses.dataclass(frozen=True)
class Source:
    """
    One file of the chain of a disk; see ``Disk`` for *kind* to *volume*.

    *index* is what libvirt calls it while the domain runs.
    """

    kind: str
    path: str | None
    volume: tuple[str, str] | None
    index: str | None


def parse(text: str) -> Element:
    return ElementTree.fromstring(text)  # noqa: S314


def render(element: Element) -> str:
    return ElementTree.tostring(element, encoding='unicode')


def is_running(domain: Element) -> bool:
    """Whether *domain* is the definition of one that runs, or did then."""
    return domain.get('id') is not None


def disks(domain: Element) -> list[Disk]:
    return [_disk(element) for element in domain.findall('devices/disk')]


def _disk(element: Element) -> Disk:
    source, driver = _source(element), element.find('driver')
    return Disk(
        target=target_of(element),
        device=element.get('device', 'disk'),
        kind=source.kind,
        format='raw' if driver is None else driver.get('type', 'raw'),
        path=source.path,
        volume=source.volume,
        readonly=element.find('readonly') is not None,
        shareable=element.find('shareable') is not None,
        transient=element.find('transient') is not None,
        snapshot=element.get('snapshot'),
        depth=_depth(element),
        # Before libvirt 3.9 beside the source, and still understood there.
        encrypted=element.find('encryption') is not None
        or element.find('source/encryption') is not None,
        remapped=next(
            (n for n in _REMAPPING if element.find(f'source/{n}') is not None),
            None,
        ),
        block=next((s.get('dev') for s in element.findall('source')), None),
    )


def _source(element: Element) -> Source:
    source = element.find('source')
    if source is None:
        source = Element('source')
    pool, volume = source.get('pool'), source.get('volume')
    return Source(
        kind=element.get('type', 'file'),
        path=source.get('file'),
        volume=(pool, volume) if pool and volume else None,
        index=source.get('index') or element.get('index'),
    )


def _depth(disk: Element) -> int:
    return max(0, len(_chain(disk)) - 1)


def _chain(disk: Element) -> list[Element]:
    """A ``<disk>``, and each ``<backingStore>`` below it that is a file."""
    found: list[Element] = []
    below: Element | None = disk
    while below is not None and below.find('source') is not None:
        found.append(below)
        below = below.find('backingStore')
    return found


def chains(domain: Element) -> dict[str, list[Source]]:
    """The files of each disk by its target, the uppermost first."""
    return {
        target_of(disk): [_source(element) for element in _chain(disk)]
        for disk in domain.findall('devices/disk')
    }


def is_ready(domain: Element, target: str) -> bool:
    """Whether the block job of a disk waits for its pivot."""
    return any(
        target_of(disk) == target and mirror.get('ready') == 'yes'
        for disk in domain.findall('devices/disk')
        for mirror in disk.findall('mirror')
    )


def mirrors(domain: Element) -> dict[str, Source]:
    """What the block job of a disk writes to, by the target of the disk."""
    return {
        target_of(disk): _source(mirror)
        for disk in domain.findall('devices/disk')
        for mirror in disk.findall('mirror')
    }


def merge_file(
    disks: Iterable[Element],
    top: str,
    above: str | None,
    base: Element,
    of: Callable[[str], str] = str,
) -> bool:
    """
    Let *disks* be without the file *top*, which *base* has all data of.

    *base* is a ``<disk>``.  Only the file *above* stands on it in place of
    *top*; what else stands there has *top* still.  Returns whether anything
    was changed.  *of* is the same for every path of one file.
    """

    def file(element: Element) -> str | None:
        path = _source(element).path
        return path and of(path)

    top, above = of(top), above and of(above)
    changed = False
    for disk in disks:
        chain = _chain(disk)
        for upper, lower in itertools.pairwise(chain):
            if (file(upper), file(lower)) == (above, top):
                _replace(upper, 'backingStore', lower.find('backingStore'))
                changed = True
        if chain and file(disk) == top:
            _become(disk, base)
            changed = True
    return changed


def resolve_volume(disk: Element, path: str) -> bool:
    """Let *disk*, a pool volume, name its file *path*; whether it is one."""
    source = disk.find('source')
    if disk.get('type') != 'volume' or source is None:
        return False
    disk.set('type', 'file')
    for name in ('pool', 'volume', 'mode'):
        source.attrib.pop(name, None)
    source.set('file', path)
    return True


def forget_backing(domain: Element, targets: Container[str]) -> bool:
    """Let *domain* not say what backs the disks *targets*; whether it did."""
    changed = False
    for disk in domain.findall('devices/disk'):
        if (
            target_of(disk) in targets
            and disk.find('backingStore') is not None
        ):
            _replace(disk, 'backingStore', None)
            changed = True
    return changed


def _become(disk: Element, base: Element) -> None:
    below, path = base.find('backingStore'), _source(base).path
    if below is None:
        # A snapshot may not say it, where what stands on the base does.
        known = [e for e in _chain(disk) if _source(e).path == path]
        below = known[0].find('backingStore') if known else None
    disk.set('type', base.get('type', 'file'))
    formats, driver = base.find('driver'), disk.find('driver')
    if formats is not None and driver is not None:
        driver.set('type', formats.get('type', 'raw'))
    _replace(disk, 'source', base.find('source'))
    _replace(disk, 'backingStore', below)


def _replace(parent: Element, tag: str, new: Element | None) -> None:
    """Let *parent* have *new*, without what a running domain adds to it."""
    for old in parent.findall(tag):
        parent.remove(old)
    if new is not None:
        new = copy.deepcopy(new)
        for element in new.iter():
            element.attrib.pop('index', None)
        parent.append(new)


def has_emulator_defaults(domain: Element) -> bool:
    """Whether the emulator has noted its BIOS defaults in a definition."""
    return all(
        domain.find(f'metadata/{_SUSHY}bios/{_SUSHY}{name}') is not None
        for name in ('attributes', 'versions')
    )


def files(domain: Element, targets: Container[str] | None = None) -> list[str]:
    """
    Every file that the disks of a domain name, backing files included.

    The uppermost file of each disk comes first.  *targets* are those of the
    disks that are meant, where not all are.
    """
    return [
        path
        for disk in domain.findall('devices/disk')
        if targets is None or target_of(disk) in targets
        for source in disk.iter('source')
        if (path := source.get('file'))
    ]


def devices(domain: Element) -> list[str]:
    """Every block device that the disks of a domain name, in their chains."""
    return [
        path
        for source in domain.findall('devices/disk//source')
        if (path := source.get('dev'))
    ]


def nvram_format(domain: Element) -> str | None:
    """The format of the UEFI variables; None without UEFI."""
    loader, nvram = domain.find('os/loader'), domain.find('os/nvram')
    is_flash = loader is not None and loader.get('type') == 'pflash'
    if nvram is None and not is_flash:
        return None
    return 'raw' if nvram is None else nvram.get('format', 'raw')


def video_memory(domain: Element) -> int:
    """The bytes of the memory of all video cards."""
    return sum(
        int(model.get(kind, '0')) * 2**10
        for model in domain.findall('devices/video/model')
        for kind in ('ram', 'vram', 'vram64')
    )


def agent_state(domain: Element) -> str:
    """The channel of the guest agent: connected, disconnected or absent."""
    for target in domain.findall('devices/channel/target'):
        if target.get('name') == 'org.qemu.guest_agent.0':
            return target.get('state', 'disconnected')
    return 'absent'


def firmware(
    domain: Element, off: bool, swtpm: str | None = SYSTEM_SWTPM
) -> dict[str, str]:
    """
    The files of the UEFI variables and of the virtual TPM, by their kind.

    Without those that cannot be copied unless the domain is *off*: QEMU keeps
    parts of a qcow2 file in its memory.  *swtpm* is where libvirt keeps TPMs;
    None where that is not known.
    """
    found = {}
    nvram = domain.find('os/nvram')
    if nvram is not None and (off or nvram_format(domain) == 'raw'):
        source = nvram.find('source')
        path = nvram.text if source is None else source.get('file')
        found['nvram'] = (path or '').strip()
    store = domain.find('os/varstore')
    if store is not None:
        found['varstore'] = store.get('path', '')
    backend = domain.find('devices/tpm/backend')
    if backend is not None and backend.get('type') == 'emulator':
        found['tpm'] = _tpm_file(domain, backend, swtpm)
    return {kind: path for kind, path in found.items() if path}


def _tpm_file(domain: Element, backend: Element, swtpm: str | None) -> str:
    # swtpm's own names, in a folder that is libvirt's unless it is given.
    old = backend.get('version') == '1.2'
    folder, file = ('tpm1.2', 'tpm-00') if old else ('tpm2', 'tpm2-00')
    source = backend.find('source')
    given = '' if source is None else source.get('path', '')
    if source is not None and source.get('type') == 'file':
        return given
    if not given and not swtpm:
        return ''
    own = given or f'{swtpm}/{domain.findtext("uuid", "")}/{folder}'
    return f'{own.rstrip("/")}/{file}.permall'


def target_of(disk: Element) -> str:
    """The target name of a ``<disk>``, such as vda."""
    target = disk.find('target')
    return '' if target is None else target.get('dev', '')


def media(domain: Element) -> dict[str, str]:
    """The XML of each drive with a medium in it, by its target."""
    return {
        target_of(element): render(element)
        for element in domain.findall('devices/disk')
        if element.get('device') in REMOVABLE
        and element.find('source') is not None
    }


def source_file(disk: str) -> str:
    """The file that the XML of a drive names, or '' where it names none."""
    source = parse(disk).find('source')
    return '' if source is None else source.get('file', '')
