# SPDX-License-Identifier: Apache-2.0
"""
A QEMU that merges or reads the files of a domain that is off.

Only a QEMU can do so through libvirt.  It is that of a domain of its
own, with the disks in question and nothing else: the system stays off, for
whoever looks, and neither its memory nor its devices need be there.  Its
guest never runs.  libvirt ends it with the connection of its maker.
"""

import contextlib
import copy
import dataclasses
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import domains, filenames, xml
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.layers import Merge

# What the firmware of any machine asks for; it is never touched.
_MEMORY_MIB = 128


@contextlib.contextmanager
def merger(
    domain: Domain, merges: Sequence[Merge]
) -> Iterator[tuple[Domain, Sequence[Merge]]]:
    """
    A domain that has the disks of *merges*, and what they are in it.

    It is gone at the end of the block.
    """
    with stand_in(domain, [merge.target for merge in merges]) as (made, names):
        yield (
            made,
            [
                dataclasses.replace(merge, target=names[merge.target])
                for merge in merges
            ],
        )


@contextlib.contextmanager
def stand_in(
    domain: Domain, disks: Sequence[str]
) -> Iterator[tuple[Domain, dict[str, str]]]:
    """
    A domain that has *disks* of *domain*, and their targets there.

    Both by the targets that they have in *domain*.  It is paused, and gone at
    the end of the block.
    """
    end(domain)
    targets = {target: _target(number) for number, target in enumerate(disks)}
    text = describe(domain.definition(inactive=True, secure=True), targets)
    flags = (
        libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
    )
    handle = domain.changed(
        lambda: domain.host.connection.createXML(text, flags)
    )
    try:
        yield Domain(domain.host, handle), targets
    finally:
        # Also where the task has ended: it is ours alone.
        with contextlib.suppress(
            libvirt.libvirtError, exceptions.NotAnswering
        ):
            domain.interrupted(handle.destroy)


def end(domain: Domain) -> None:
    """End the one of *domain* that was left behind, if there is one."""
    identity = filenames.merger_uuid(domain.uuid)
    with contextlib.suppress(exceptions.SystemNotFound):
        domains.find(domain.host, identity).destroy()


def describe(system: xml.Element, targets: dict[str, str]) -> str:
    """
    The definition of a domain with those disks of *system* in *targets*.

    Each has the target there.
    """
    uuid = filenames.merger_uuid(system.findtext('uuid', ''))
    root = ElementTree.Element('domain', type=system.get('type', 'kvm'))
    ElementTree.SubElement(root, 'name').text = f'hawkfish-merge-{uuid[-12:]}'
    ElementTree.SubElement(root, 'uuid').text = uuid
    memory = ElementTree.SubElement(root, 'memory', unit='MiB')
    memory.text = str(_MEMORY_MIB)
    kind = system.find('os/type')
    if kind is not None:
        ElementTree.SubElement(root, 'os').append(copy.deepcopy(kind))
    root.extend(copy.deepcopy(system.findall('seclabel')))
    devices = ElementTree.SubElement(root, 'devices')
    devices.extend(copy.deepcopy(system.findall('devices/emulator')))
    for disk in system.findall('devices/disk'):
        if target := targets.get(xml.target_of(disk)):
            devices.append(_disk(disk, target))
    ElementTree.SubElement(devices, 'controller', type='usb', model='none')
    ElementTree.SubElement(devices, 'memballoon', model='none')
    return xml.render(root)


def _disk(disk: xml.Element, target: str) -> xml.Element:
    """*disk* with its file alone; libvirt finds what it is backed by."""
    made = ElementTree.Element(
        'disk', type=disk.get('type', 'file'), device='disk'
    )
    driver = disk.find('driver')
    kind = 'raw' if driver is None else driver.get('type', 'raw')
    ElementTree.SubElement(made, 'driver', name='qemu', type=kind)
    made.extend(copy.deepcopy(disk.findall('source')))
    ElementTree.SubElement(made, 'target', dev=target, bus='virtio')
    return made


def _target(number: int) -> str:
    """The name of a disk, counted from 0: vda, vdz, vdaa."""
    letters = ''
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord('a') + rest) + letters
    return f'vd{letters}'
