# SPDX-License-Identifier: Apache-2.0
"""
What keeps the memory of a guest from being saved.

Owns the reasons: those that QEMU gives while it runs, and otherwise the
devices of the definition of which QEMU or libvirt is known to refuse it.
Changes nothing.
"""

import libvirt

from hawkfish_plugin.drivers.libvirt import qmp, xml
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.hosts import Host


def find(domain: Domain, root: xml.Element, active: bool) -> list[str]:
    """Each reason, as part of a sentence; *root* is the definition in use."""
    # What depends on the guest, such as a 9p mount, only QEMU knows.
    told = [f'QEMU says {reason!r}' for reason in _of_qemu(domain, active)]
    return told or [
        f'it has a {device}'
        for device in (*in_definition(root), *_pooled(domain.host, root))
    ]


def _of_qemu(domain: Domain, active: bool) -> list[str]:
    """What QEMU says of a migration, which saving the memory is to it."""
    if not active:
        return []
    try:
        status = qmp.ask(domain, 'query-migrate').get('return', {})
    except libvirt.libvirtError as exc:
        # It has gone off meanwhile, say: the definition decides.
        domain.host.raise_if_lost(exc)
        return []
    return [str(reason) for reason in status.get('blocked-reasons', ())]


def in_definition(domain: xml.Element) -> list[str]:
    """The devices and features whose state is not saved."""
    return [
        *_assigned(domain),
        *_shared(domain),
        *_emulated(domain),
        *_of_the_processor(domain),
    ]


def _assigned(domain: xml.Element) -> list[str]:
    found = [
        f'hostdev of type {device.get("type")}'
        for device in domain.findall('devices/hostdev')
        if device.get('type') != 'usb'
    ]
    found += [
        f'interface of type {interface.get("type")}'
        for interface in domain.findall('devices/interface')
        if interface.get('type') in ('hostdev', 'vdpa')
    ]
    return found


def _shared(domain: xml.Element) -> list[str]:
    """What others than the guest write to."""
    found = [
        'filesystem of type virtiofs'
        for driver in domain.findall('devices/filesystem/driver')
        if driver.get('type') == 'virtiofs'
    ]
    found += [
        f'shared memory device {memory.get("name")!r}'
        for memory in domain.findall('devices/shmem')
        if memory.get('role') != 'master'
    ]
    return found


def _emulated(domain: xml.Element) -> list[str]:
    found = []
    for model in domain.findall('devices/video/model'):
        acceleration = model.find('acceleration')
        if acceleration is not None and acceleration.get('accel3d') == 'yes':
            found.append(
                f'{model.get("type")} video card with 3D acceleration'
            )
    found += [
        'video card of type vhostuser'
        for driver in domain.findall('devices/video/driver')
        if driver.get('name') == 'vhostuser'
    ]
    found += [
        f'smartcard reader of mode {card.get("mode")}'
        for card in domain.findall('devices/smartcard')
        if card.get('mode') in ('host', 'host-certificates')
    ]
    found += [
        'sound card of model usb'
        for card in domain.findall('devices/sound')
        if card.get('model') == 'usb'
    ]
    return found


def _of_the_processor(domain: xml.Element) -> list[str]:
    found = [
        f'memory that is encrypted by {security.get("type")}'
        for security in domain.findall('launchSecurity')
        if security.get('type') in ('sev', 'sev-snp', 'tdx')
    ]
    # With a frequency that the next start keeps, the counter can be restored.
    fixed = any(
        timer.get('name') == 'tsc' and timer.get('frequency')
        for timer in domain.findall('clock/timer')
    )
    found += [
        'processor with the feature invtsc and no fixed TSC frequency'
        for feature in domain.findall('cpu/feature')
        if feature.get('name') == 'invtsc'
        and feature.get('policy') in ('require', 'force')
        and not fixed
    ]
    return found


def _pooled(host: Host, domain: xml.Element) -> list[str]:
    """The interfaces for which a network gives devices of the host."""
    found = []
    for source in domain.findall("devices/interface[@type='network']/source"):
        name = source.get('network', '')
        if _gives_devices(host, name):
            found.append(f'device of the host from the network {name!r}')
    return found


def _gives_devices(host: Host, name: str) -> bool:
    try:
        network = host.connection.networkLookupByName(name)
        forward = xml.parse(network.XMLDesc()).find('forward')
    except libvirt.libvirtError as exc:
        # A network that is not there keeps nothing from being saved.
        host.raise_if_lost(exc)
        return False
    return forward is not None and forward.get('mode') == 'hostdev'
