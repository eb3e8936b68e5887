# SPDX-License-Identifier: Apache-2.0
"""
The definition of a clone that is thrown away.

Owns its isolation.  It is made of the definition of its system, so it could
reach whatever that can: the network, sockets and files of the host, devices,
the files of the firmware.  What is known to be harmless is taken over, what
can be made harmless is, and what else there is makes ``foreign``.  A guest
that goes on with its memory minds each device that lacks.  No libvirt call is
made here.
"""

import copy
import dataclasses
from collections.abc import Collection, Iterator, Mapping
from xml.etree import ElementTree

from hawkfish_plugin.drivers.libvirt import revert_xml, xml
from hawkfish_plugin.drivers.libvirt.xml import Element

NVRAM, VARSTORE = 'nvram', 'varstore'

_DROPPED = ('name', 'uuid', 'title', 'description', 'metadata')
_PLAIN = (
    *('controller', 'memballoon', 'panic', 'hub', 'iommu', 'sound', 'nvram'),
    *('emulator', 'redirfilter'),
)
_CHARACTERS = ('serial', 'console', 'parallel')
_CHARACTER_PARTS = ('target', 'address', 'alias')
_NIC = (
    *('mac', 'model', 'driver', 'mtu', 'address', 'alias', 'rom', 'boot'),
    *('acpi', 'vlan'),
)
_SOURCE_OF_NIC = ('network', 'bridge', 'portgroup')
_SPICE = ('spicevmc', 'qemu-vdagent')
_HOST_INPUTS = ('passthrough', 'evdev')
_RANDOM = '/dev/urandom'


@dataclasses.dataclass(frozen=True)
class Clone:
    """
    What a clone is called, and the files of its own.

    *overlays* are those of its disks, by target; *ejected* are the media that
    it does without.  *firmware* has the files of the state of its firmware, by
    NVRAM and VARSTORE.
    """

    name: str
    uuid: str
    overlays: Mapping[str, str]
    ejected: Collection[str] = ()
    firmware: Mapping[str, str] = dataclasses.field(default_factory=dict)


def foreign(root: Element, held: Collection[str]) -> list[str]:
    """
    What of *root* a clone cannot have, in words.

    *held* are the targets of the disks that get overlays.
    """
    return [*_foreign_top(root), *_foreign_devices(root, held)]


def _foreign_top(root: Element) -> Iterator[str]:
    for element in root:
        if '}' in element.tag:
            yield element.tag.rpartition('}')[2]


def _foreign_devices(root: Element, held: Collection[str]) -> Iterator[str]:
    spice = _has_spice(root)
    for device in root.findall('devices/*'):
        if device.tag == 'lease':
            continue
        if _device(device, spice, held) is None:
            kind = device.get('type') or device.get('model') or ''
            target = xml.target_of(device) if device.tag == 'disk' else kind
            yield f'{device.tag} {target}'.strip()


def build(root: Element, clone: Clone) -> Element:
    """The definition of *clone*, made of *root*, without what is foreign."""
    made = Element('domain', type=root.get('type', 'kvm'))
    ElementTree.SubElement(made, 'name').text = clone.name
    ElementTree.SubElement(made, 'uuid').text = clone.uuid
    for element in root:
        if element.tag in _DROPPED or '}' in element.tag:
            continue
        if element.tag == 'seclabel' and element.get('type') != 'static':
            continue
        if element.tag == 'devices':
            made.append(_devices(element, _has_spice(root), clone))
        else:
            made.append(copy.deepcopy(element))
    _set_firmware(made, clone.firmware)
    for entry in made.findall("sysinfo/system/entry[@name='uuid']"):
        entry.text = clone.uuid
    for event in made.findall('on_crash'):
        event.text = 'destroy'
    return revert_xml.put_on(
        made, clone.overlays, Element('domain'), clone.ejected
    )


def _set_firmware(root: Element, files: Mapping[str, str]) -> None:
    nvram = root.find('os/nvram')
    if nvram is not None and NVRAM in files:
        source = nvram.find('source')
        if source is None:
            nvram.text = files[NVRAM]
        else:
            source.attrib.clear()
            source.set('file', files[NVRAM])
    store = root.find('os/varstore')
    if store is not None and VARSTORE in files:
        store.set('path', files[VARSTORE])


def is_isolated(root: Element) -> bool:
    """Whether *root*, the definition in use, leads nowhere."""
    nics = root.findall('devices/interface')
    links = [nic.find('link') for nic in nics]
    ports = [g.get('port', '-1') for g in root.findall('devices/graphics')]
    return all(
        link is not None and link.get('state') == 'down' for link in links
    ) and not any(port.isdigit() and int(port) > 0 for port in ports)


# Devices -------------------------------------------------------------------


def _has_spice(root: Element) -> bool:
    return root.find("devices/graphics[@type='spice']") is not None


def _devices(devices: Element, spice: bool, clone: Clone) -> Element:
    made = Element('devices')
    for device in devices:
        own = _device(device, spice, clone.overlays)
        if own is not None:
            made.append(own)
    return made


def _device(
    device: Element, spice: bool, held: Collection[str]
) -> Element | None:
    """*device* as a clone has it; None where it cannot have it."""
    if device.tag in _PLAIN:
        return copy.deepcopy(device)
    if device.tag in _CHARACTERS:
        return _with(device, _CHARACTER_PARTS, 'pty')
    if device.tag == 'disk':
        return _disk(device, held)
    make = _MAKERS.get(device.tag)
    if make is not None:
        return make(device)
    if device.tag in ('channel', 'redirdev', 'smartcard'):
        return _channel(device, spice)
    return None


def _with(device: Element, tags: Collection[str], kind: str) -> Element:
    made = Element(device.tag, device.attrib | {'type': kind})
    made.extend(copy.deepcopy(part) for part in device if part.tag in tags)
    return made


def _disk(device: Element, held: Collection[str]) -> Element | None:
    if xml.target_of(device) in held:
        return copy.deepcopy(device)
    made = copy.deepcopy(device)
    readonly = device.find('readonly') is not None
    plain = readonly and device.get('type') in ('file', 'volume')
    if device.get('device') in xml.REMOVABLE:
        if not plain:
            # A medium that is written to, or a device of the host.
            for source in made.findall('source'):
                made.remove(source)
            made.set('type', 'file')
        return made
    return made if plain else None


def _nic(device: Element) -> Element | None:
    kind = device.get('type', '')
    if kind not in ('network', 'bridge', 'user'):
        return None
    made = _with(device, _NIC, kind)
    for source in device.findall('source'):
        given = {k: v for k, v in source.items() if k in _SOURCE_OF_NIC}
        if given:
            made.insert(0, Element('source', given))
    for port in device.findall('virtualport'):
        # Its parameters would make others take it for the system's.
        if port.get('type'):
            made.append(Element('virtualport', type=port.get('type', '')))
    ElementTree.SubElement(made, 'link', state='down')
    return made


def _graphics(device: Element) -> Element | None:
    kind = device.get('type', '')
    if kind == 'egl-headless':
        return copy.deepcopy(device)
    if kind not in ('vnc', 'spice'):
        return None
    made = Element('graphics', type=kind)
    made.extend(copy.deepcopy(part) for part in device.findall('gl'))
    ElementTree.SubElement(made, 'listen', type='none')
    return made


def _channel(device: Element, spice: bool) -> Element | None:
    kind, target = device.get('type', ''), device.find('target')
    if kind in _SPICE:
        return copy.deepcopy(device) if spice else None
    if device.tag != 'channel' or target is None:
        return None
    if target.get('type') != 'virtio':
        return None
    # libvirt gives a socket a path that has the name of the clone.
    return _with(device, _CHARACTER_PARTS, 'unix')


def _rng(device: Element) -> Element | None:
    made = copy.deepcopy(device)
    for backend in made.findall('backend'):
        if backend.get('model') != 'builtin':
            backend.clear()
            backend.set('model', 'random')
            backend.text = _RANDOM
    return made


def _tpm(device: Element) -> Element | None:
    backend = device.find('backend')
    if backend is None or backend.get('type') != 'emulator':
        return None
    made = copy.deepcopy(device)
    for own in made.findall('backend'):
        # libvirt gives its state a folder that has the UUID of the clone.
        for name in ('persistent_state', 'debug'):
            own.attrib.pop(name, None)
        for source in own.findall('source'):
            own.remove(source)
    return made


def _audio(device: Element) -> Element | None:
    return Element('audio', id=device.get('id', '1'), type='none')


def _input(device: Element) -> Element | None:
    if device.get('type') in _HOST_INPUTS:
        return None
    return copy.deepcopy(device)


def _video(device: Element) -> Element | None:
    driver = device.find('driver')
    if driver is not None and driver.get('name') == 'vhostuser':
        return None
    return copy.deepcopy(device)


def _memory(device: Element) -> Element | None:
    if device.find('source/path') is not None:
        return None
    return copy.deepcopy(device)


def _watchdog(device: Element) -> Element | None:
    made = copy.deepcopy(device)
    if made.get('action') == 'dump':
        made.set('action', 'reset')
    return made


def _crypto(device: Element) -> Element | None:
    backend = device.find('backend')
    if backend is None or backend.get('model') != 'builtin':
        return None
    return copy.deepcopy(device)


_MAKERS = {
    'interface': _nic,
    'graphics': _graphics,
    'rng': _rng,
    'tpm': _tpm,
    'audio': _audio,
    'input': _input,
    'video': _video,
    'memory': _memory,
    'watchdog': _watchdog,
    'crypto': _crypto,
}


def shell(root: Element, clone_uuid: str, name: str) -> Element:
    """
    A domain that is never started, with the TPM of the clone of *root*.

    To undefine it removes the state of that.
    """
    made = Element('domain', type=root.get('type', 'kvm'))
    ElementTree.SubElement(made, 'name').text = name
    ElementTree.SubElement(made, 'uuid').text = clone_uuid
    ElementTree.SubElement(made, 'memory', unit='MiB').text = '1'
    kind = root.find('os/type')
    if kind is not None:
        ElementTree.SubElement(made, 'os').append(copy.deepcopy(kind))
    devices = ElementTree.SubElement(made, 'devices')
    devices.extend(copy.deepcopy(root.findall('devices/emulator')))
    for device in root.findall('devices/tpm'):
        own = _tpm(device)
        if own is not None:
            for address in own.findall('address'):
                own.remove(address)
            devices.append(own)
    return made


def keep_tpm(root: Element) -> None:
    """Let the state of the TPM of *root* outlive its end."""
    for backend in root.findall('devices/tpm/backend'):
        backend.set('persistent_state', 'yes')
