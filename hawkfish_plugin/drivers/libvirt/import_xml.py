# SPDX-License-Identifier: Apache-2.0
"""
The definition of an imported system.

A definition can name any file and any device of the host, and a bundle comes
from anywhere: so a new one is made of what is known to be harmless, and what
else there was is told.  A path is taken over only where the host itself has
it, or other systems do.  No libvirt call is made here.
"""

import copy
import dataclasses
import posixpath
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from xml.etree import ElementTree

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import xml
from hawkfish_plugin.drivers.libvirt.xml import Element

# What belongs to the system of a host, and nobody else writes to.
_SYSTEM = '/usr/share/'
_MAC = re.compile('[0-9a-f]{2}(:[0-9a-f]{2}){5}')
# The first half of each of its MAC addresses.
_QEMU = '52:54:00'

_TOP = (
    *('title', 'description', 'memory', 'currentMemory', 'maxMemory'),
    *('vcpu', 'vcpus', 'iothreads', 'cpu', 'features', 'clock', 'pm'),
    *('on_poweroff', 'on_reboot', 'on_crash'),
)
# Each has its own identity, or belongs to the host that it was on.
_DROPPED_SILENTLY = ('name', 'uuid', 'metadata', 'seclabel', 'resource')
_OS = ('type', 'boot', 'bootmenu', 'bios', 'smbios', 'cmdline', 'firmware')
_PLAIN = (
    *('controller', 'input', 'video', 'watchdog', 'memballoon', 'panic'),
    *('hub', 'iommu', 'sound'),
)
_PLAIN_PARTS = (
    *('target', 'model', 'driver', 'address', 'acceleration', 'resolution'),
    *('stats', 'master', 'codec', 'alias', 'boot'),
)
_DISK = (
    *('target', 'address', 'boot', 'serial', 'wwn', 'blockio', 'iotune'),
    *('vendor', 'product', 'readonly', 'alias'),
)
_NIC = ('model', 'boot', 'link', 'mtu', 'address', 'bandwidth', 'alias')


@dataclasses.dataclass(frozen=True)
class Known:
    """
    The *files* that systems of the host name, and *sockets*.

    These are the paths of their consoles and channels.
    """

    files: Collection[str] = ()
    sockets: Collection[str] = ()

    @property
    def folders(self) -> set[str]:
        """Those of the sockets."""
        return {posixpath.dirname(path) for path in self.sockets}

    def has(self, path: str) -> bool:
        plain = posixpath.normpath(path)
        return plain.startswith(_SYSTEM) or path in self.files


def known_of(definitions: Iterable[Element]) -> Known:
    """What the *definitions* of all systems of a host make known."""
    files, sockets = set[str](), set[str]()
    for root in definitions:
        for tag in ('loader', 'kernel', 'initrd'):
            files |= {e.text for e in root.findall(f'os/{tag}') if e.text}
        for nvram in root.findall('os/nvram'):
            files.add(nvram.get('template', ''))
        for device in _characters(root):
            for source in device.findall('source'):
                sockets.add(source.get('path', ''))
    return Known(files - {''}, sockets - {''})


def parse(text: str) -> Element:
    """Raises BundleInvalid."""
    check_plain(text.encode())
    try:
        root = xml.parse(text)
    except xml.ParseError:
        raise exceptions.BundleInvalid('its definition is no XML') from None
    check(root)
    return root


def check_plain(text: bytes) -> None:
    """Raise BundleInvalid where a parser might make more of *text*."""
    # Entities could make of some bytes as much as they like.
    if b'<!DOCTYPE' in text or b'<!ENTITY' in text:
        raise exceptions.BundleInvalid('its definition is none of libvirt')


def check(root: Element) -> None:
    """Raise BundleInvalid where *root* is no definition of a system."""
    if root.tag != 'domain' or root.find('devices') is None:
        raise exceptions.BundleInvalid('its definition is none of libvirt')


def macs(root: Element) -> list[str]:
    """The MAC addresses that a definition has, as libvirt writes them."""
    found = [
        mac.get('address', '').lower()
        for mac in root.findall('devices/interface/mac')
    ]
    if not all(map(_MAC.fullmatch, found)):
        raise exceptions.BundleInvalid('it has a MAC address that is none')
    return found


def new_mac(taken: Collection[str]) -> str:
    """One of QEMU's that is not *taken*."""
    while True:
        ends = secrets.token_bytes(3)
        found = ':'.join((_QEMU, *(f'{byte:02x}' for byte in ends)))
        if found not in taken:
            return found


def networks(root: Element) -> set[str]:
    """The networks that a definition needs."""
    return {
        source.get('network', '')
        for source in root.findall('devices/interface[@type="network"]/source')
    }


class Rebuilt:
    """
    The definition of the system *name*, after *root* of a bundle.

    *disks* are the files of its disks, by target, and *macs* the addresses
    that it gets, by those that it had (others are new); *left_out* is what it
    has no more.  Raises ImportNotPossible.
    """

    def __init__(
        self,
        root: Element,
        name: str,
        uuid: str,
        disks: Mapping[str, str],
        known: Known,
        macs: Mapping[str, str] | None = None,
    ) -> None:
        self._former = root.findtext('name', '')
        self._name = name
        self._disks = disks
        self._known = known
        self._macs = macs or {}
        self.left_out: list[str] = []
        kind = root.get('type', 'kvm')
        self.root = Element('domain', type=kind if kind == 'kvm' else 'qemu')
        ElementTree.SubElement(self.root, 'name').text = name
        ElementTree.SubElement(self.root, 'uuid').text = uuid
        for element in root:
            self._add_top(element)

    def _add_top(self, element: Element) -> None:
        if element.tag in _TOP:
            self.root.append(copy.deepcopy(element))
        elif element.tag == 'os':
            self.root.append(self._os(element))
        elif element.tag == 'devices':
            made = ElementTree.SubElement(self.root, 'devices')
            for device in element:
                self._add_device(made, device)
        elif element.tag not in _DROPPED_SILENTLY:
            self.left_out.append(element.tag.rpartition('}')[2])

    def _os(self, element: Element) -> Element:
        made = Element('os', element.attrib)
        for part in element:
            if part.tag in _OS:
                made.append(copy.deepcopy(part))
            elif part.tag in ('loader', 'kernel', 'initrd'):
                if not self._known.has(part.text or ''):
                    raise exceptions.ImportNotPossible(
                        f'no system of this host uses {part.text!r}, the '
                        f'{part.tag} of the system'
                    )
                made.append(copy.deepcopy(part))
            elif part.tag == 'nvram':
                self._add_nvram(made, part)
            else:
                self.left_out.append(part.tag)
        return made

    def _add_nvram(self, made: Element, part: Element) -> None:
        # libvirt gives it a path of its own.
        template = part.get('template', '')
        if self._known.has(template):
            ElementTree.SubElement(made, 'nvram', template=template)

    def _add_device(self, devices: Element, device: Element) -> None:
        made = self._device(device)
        if made is not None:
            devices.append(made)
        elif device.tag != 'emulator':
            kind = device.get('type') or device.get('device') or ''
            self.left_out.append(f'{device.tag} {kind}'.strip())

    def _device(self, device: Element) -> Element | None:
        if device.tag == 'disk':
            return self._disk(device)
        if device.tag == 'interface':
            return _nic(device, self._macs)
        if device.tag == 'graphics':
            return _graphics(device)
        if device.tag in ('serial', 'console', 'channel'):
            return self._character(device)
        if device.tag == 'rng':
            return _rng(device)
        if device.tag == 'tpm':
            return _tpm(device)
        if device.tag == 'audio':
            # Where the host plays it; the guest does not notice.
            return Element('audio', id=device.get('id', '1'), type='none')
        if device.tag not in _PLAIN or device.get('type') in (
            *('passthrough', 'evdev'),
        ):
            return None
        return _with(device, _PLAIN_PARTS)

    def _disk(self, device: Element) -> Element | None:
        target = xml.target_of(device)
        made = _with(device, _DISK)
        made.attrib.pop('snapshot', None)
        made.set('type', 'file')
        if target in self._disks:
            driver = device.find('driver')
            options = {} if driver is None else dict(driver.attrib)
            options |= {'name': 'qemu', 'type': 'qcow2'}
            made.insert(0, Element('driver', options))
            source = Element('source', file=self._disks[target])
            made.insert(1, source)
            return made
        return made if device.get('device') in xml.REMOVABLE else None

    def _character(self, device: Element) -> Element | None:
        kind = device.get('type', 'pty')
        made = _with(device, ('target', 'address', 'alias'))
        path = self._own_path(device)
        if path and kind in ('unix', 'file'):
            source = Element('source', path=path)
            if kind == 'unix':
                source.set('mode', 'bind')
            made.insert(0, source)
        elif device.tag == 'channel':
            # libvirt gives it a path of its own.
            return made if kind in ('unix', 'spicevmc') else None
        else:
            made.set('type', 'pty')
        return made

    def _own_path(self, device: Element) -> str | None:
        """Its path with the new name, beside those of other systems."""
        for source in device.findall('source'):
            folder, name = posixpath.split(source.get('path', ''))
            if folder in self._known.folders and self._former in name:
                own = name.replace(self._former, self._name)
                path = posixpath.join(folder, own)
                if self._former and path not in self._known.sockets:
                    return path
        return None


def _characters(root: Element) -> Iterator[Element]:
    for tag in ('serial', 'console', 'channel'):
        yield from root.findall(f'devices/{tag}')


def _with(device: Element, tags: Collection[str]) -> Element:
    """*device* with those of its parts that have one of *tags*."""
    made = Element(device.tag, device.attrib)
    made.extend(copy.deepcopy(part) for part in device if part.tag in tags)
    return made


def _nic(device: Element, macs: Mapping[str, str]) -> Element | None:
    kind = device.get('type', '')
    if kind not in ('network', 'bridge', 'user'):
        return None
    # The name of its tap is made anew.
    made = _with(device, _NIC)
    for mac in device.findall('mac'):
        address = macs.get(mac.get('address', '').lower())
        if address:
            made.insert(0, Element('mac', address=address))
    for source in device.findall('source'):
        given = {
            key: source.get(key, '')
            for key in ('network', 'bridge', 'portgroup')
            if source.get(key)
        }
        if given:
            made.insert(0, Element('source', given))
    return made


def _graphics(device: Element) -> Element | None:
    kind = device.get('type', '')
    if kind not in ('vnc', 'spice'):
        return None
    made = Element('graphics', type=kind, autoport='yes')
    for key in ('passwd', 'passwdValidTo', 'keymap'):
        if device.get(key):
            made.set(key, device.get(key, ''))
    return made


def _rng(device: Element) -> Element | None:
    backend = device.find('backend')
    if backend is None or backend.text not in (
        *('/dev/random', '/dev/urandom'),
    ):
        return None
    return _with(device, ('backend', 'rate', 'address', 'driver', 'alias'))


def _tpm(device: Element) -> Element | None:
    backend = device.find('backend')
    if backend is None or backend.get('type') != 'emulator':
        return None
    made = _with(device, ('address', 'alias'))
    version = backend.get('version', '2.0')
    ElementTree.SubElement(made, 'backend', type='emulator', version=version)
    return made
