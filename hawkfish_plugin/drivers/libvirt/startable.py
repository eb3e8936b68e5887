# SPDX-License-Identifier: Apache-2.0
"""
Whether a definition can be started on a host.

Owns what can be known of that while another definition is in use: the files
that a start reads, the networks, and what the host's QEMU can do.  Looks, and
changes nothing.
"""

from collections.abc import Iterator
from typing import cast

import libvirt

from hawkfish_plugin.drivers.libvirt import errors, xml
from hawkfish_plugin.drivers.libvirt.hosts import Host

# What a start reads, beside the disks; see libvirt's "Operating system
# booting".
_BOOT_FILES = 'os/loader', 'os/kernel', 'os/initrd', 'os/dtb', 'os/shim'
_ANY_CPU = 'none'


def obstacles(host: Host, definition: xml.Element) -> Iterator[str]:
    """What keeps *definition* from being started, in words."""
    for path in _files(host, definition):
        if not host.storage.exists(path):
            yield f'{path} is missing'
    yield from _networks(host, definition)
    yield from _emulator(host, definition)


def _files(host: Host, definition: xml.Element) -> Iterator[str]:
    for name in _BOOT_FILES:
        path = definition.findtext(name, '').strip()
        if path.startswith('/'):
            yield path
    nvram = definition.find('os/nvram')
    template = None if nvram is None else nvram.get('template')
    path = '' if nvram is None else (nvram.text or '').strip()
    # libvirt makes variables that are missing of their template.
    if template and path and not host.storage.exists(path):
        yield template


def _networks(host: Host, definition: xml.Element) -> Iterator[str]:
    for source in definition.findall(
        "devices/interface[@type='network']/source"
    ):
        name = source.get('network', '')
        try:
            network = host.connection.networkLookupByName(name)
            if not network.isActive():
                yield f'the network {name} is not active'
        except libvirt.libvirtError as exc:
            if exc.get_error_code() == libvirt.VIR_ERR_NO_NETWORK:
                yield f'there is no network {name}'
            else:
                # A daemon without networks; the start may say more.
                host.raise_if_lost(exc)


def _emulator(host: Host, definition: xml.Element) -> Iterator[str]:
    machine = definition.find('os/type')
    if machine is None:
        return
    what = (
        # None is the one that libvirt would choose.
        cast(str, definition.findtext('devices/emulator')),
        machine.get('arch', ''),
        machine.get('machine', ''),
        definition.get('type', ''),
    )
    try:
        # Of an emulator, machine or accelerator that is gone, an error.
        host.connection.getDomainCapabilities(*what, 0)
    except libvirt.libvirtError as exc:
        host.raise_if_lost(exc)
        yield errors.text(exc)
        return
    yield from _cpu(host, definition, what)


def _cpu(
    host: Host,
    definition: xml.Element,
    what: tuple[str, str, str, str],
) -> Iterator[str]:
    cpu = definition.find('cpu')
    if cpu is None or cpu.find('model') is None:
        return
    # What is not checked at a start need not be met.
    if cpu.get('mode') != 'custom' or cpu.get('check') == _ANY_CPU:
        return
    try:
        found = host.connection.compareHypervisorCPU(*what, xml.render(cpu), 0)
    except libvirt.libvirtError as exc:
        # Not known of every architecture.
        host.raise_if_lost(exc)
        return
    if found == libvirt.VIR_CPU_COMPARE_INCOMPATIBLE:
        model = cpu.findtext('model', '')
        yield f'the host cannot provide the CPU {model}'
