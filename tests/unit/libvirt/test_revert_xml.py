# SPDX-License-Identifier: Apache-2.0
"""The definitions that a revert leaves, made of recorded ones."""

import copy

import pytest

from hawkfish_plugin.drivers.libvirt import revert_xml, xml
from tests.unit.libvirt.recordings import Case

CASES = 'branches', 'reverted', 'uefi-off'
DRIVE = """<disk type='file' device='cdrom'><source file='/iso/a.iso'/>
<target dev='sda' bus='sata'/><readonly/></disk>"""
READONLY = """<disk type='volume' device='disk'><source pool='p' volume='v'/>
<target dev='vdz' bus='virtio'/><readonly/></disk>"""
LEFT_OUT = """<disk type='{kind}' device='disk'>
<driver name='qemu' type='{of}'/>
<source {attribute}='{name}'/><target dev='vdy' bus='virtio'/></disk>"""


def disks(root):
    return {disk.target: disk for disk in xml.disks(root)}


def with_disks(root, *elements):
    made = copy.deepcopy(root)
    devices = made.find('devices')
    devices.extend(xml.parse(element) for element in elements)
    return made


def captured(name):
    case = Case(name)
    root = case.root(case.seen[0].record.name)
    return revert_xml.next_start(root, 'now'), root


@pytest.mark.parametrize('name', CASES)
def test_disks_that_go_back(name):
    """They are on their overlay, and say nothing of what is below."""
    definition, _ = captured(name)
    made = revert_xml.put_on(definition, {'vda': '/o.qcow2'}, definition, ())

    disk = disks(made)['vda']
    assert (disk.kind, disk.path, disk.format) == ('file', '/o.qcow2', 'qcow2')
    assert made.findall('devices/disk/backingStore') == []
    assert disks(definition)['vda'].path != '/o.qcow2'


@pytest.mark.parametrize('name', CASES)
def test_the_next_start(name):
    """It has the system's present name, and is no running one."""
    definition, root = captured(name)

    assert definition.tag == 'domain'
    assert definition.findtext('name') == 'now'
    assert definition.get('id') is None
    assert definition.findtext('uuid') == root.findtext('domain/uuid')


def test_drives_and_readonly_disks_stay():
    """Whatever they are now, they are as they were captured."""
    definition, _ = captured('branches')
    present = definition
    definition = with_disks(definition, DRIVE, READONLY)

    made = disks(revert_xml.put_on(definition, {}, present, ()))

    assert made['sda'].path == '/iso/a.iso'
    assert made['vdz'].volume == ('p', 'v')


def test_a_medium_that_is_gone():
    definition, _ = captured('branches')
    definition = with_disks(definition, DRIVE)

    made = revert_xml.put_on(definition, {}, definition, ['/iso/a.iso'])

    assert disks(made)['sda'].path is None


def test_a_disk_that_was_left_out():
    """It stays what it is now, and not what it was."""
    definition, _ = captured('branches')
    was = LEFT_OUT.format(kind='file', of='raw', attribute='file', name='/a')
    now = LEFT_OUT.format(kind='block', of='qcow2', attribute='dev', name='/b')

    made = disks(
        revert_xml.put_on(
            with_disks(definition, was), {}, with_disks(definition, now), ()
        )
    )

    assert (made['vdy'].kind, made['vdy'].format) == ('block', 'qcow2')
    assert made['vdy'].path is None
