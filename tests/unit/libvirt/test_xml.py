# SPDX-License-Identifier: Apache-2.0
"""Recorded domains and snapshots are read, and edited, as libvirt means."""

import pytest

from hawkfish_plugin.drivers.libvirt import snapshot_xml, xml
from tests.unit.libvirt.recordings import CASES, Case

IMAGES = '/var/lib/libvirt/images'


def test_disks():
    """Each disk has its target, format, file and number of backing files."""
    vda, sda, sdb = xml.disks(Case('branches').domain)

    assert (vda.target, vda.format, vda.device) == ('vda', 'qcow2', 'disk')
    assert (vda.depth, sda.depth) == (3, 3)
    assert vda.is_captured
    assert (sdb.device, sdb.path) == ('cdrom', f'{IMAGES}/medium.iso')
    assert sdb.is_removable
    assert not sdb.is_captured


def test_files():
    """The files of a disk are listed down to the one it began with."""
    found = xml.files(Case('reverted').domain)

    assert found[0].startswith(f'{IMAGES}/hawkfish-')
    assert found[1:] == [
        found[0].rpartition('.')[0] + '.qcow2',
        f'{IMAGES}/reverted-1.qcow2',
    ]


def test_a_volume():
    """A disk of a pool is named by pool and volume, and by no path."""
    inactive = (Case('uefi-off').folder / 'inactive.xml').read_text()
    (disk,) = xml.disks(xml.parse(inactive))

    assert disk.kind == 'file'
    assert disk.volume is None
    text = '''<domain><devices><disk type='volume' device='disk'>
      <source pool='default' volume='a.qcow2'/><target dev='vda'/>
    </disk></devices></domain>'''
    (disk,) = xml.disks(xml.parse(text))
    assert disk.volume == ('default', 'a.qcow2')
    assert disk.path is None


def test_firmware():
    """The UEFI variables are found where libvirt keeps them."""
    domain = Case('uefi-off').domain

    assert xml.firmware(domain, off=True) == {
        'nvram': '/var/lib/libvirt/qemu/nvram/uefi-off_VARS.fd'
    }
    assert xml.nvram_format(domain) == 'raw'
    assert xml.firmware(Case('branches').domain, off=True) == {}


@pytest.mark.parametrize('case', CASES)
def test_the_agent(case):
    """An agent that was never heard is disconnected, not absent."""
    assert xml.agent_state(Case(case).domain) == 'disconnected'


def test_media_go_and_come_back():
    """A medium that was ejected from a snapshot is put back as it was."""
    case = Case('branches')
    root = case.root('base')
    before = xml.media(root.find('domain'))

    assert set(before) == {'sdb'}
    assert snapshot_xml.eject_media(root)
    assert not xml.media(root.find('domain'))
    assert not snapshot_xml.eject_media(root)
    assert snapshot_xml.insert_media(root, case.root('base'))
    assert set(xml.media(root.find('domain'))) == {'sdb'}
    assert xml.source_file(before['sdb']) == f'{IMAGES}/medium.iso'
    assert not snapshot_xml.insert_media(root, case.root('base'))


def test_putting_media_back_keeps_the_rest():
    """What libvirt noted in a snapshot meanwhile outlives its media."""
    case = Case('branches')
    root = case.root('base')
    snapshot_xml.eject_media(root)
    snapshot_xml.set_revert_disks(root, {'vda': '/new', 'sda': None})

    snapshot_xml.insert_media(root, case.root('base'))

    assert snapshot_xml.revert_disks(root) == {'vda': '/new', 'sda': None}


def test_a_new_external_snapshot():
    """What is asked of libvirt for a create is what comes back."""
    text = snapshot_xml.external_snapshot(
        'a<b', 'it & that', '/i/m.mem', {'vda': '/i/o.qcow2'}, ['sda']
    )
    root = xml.parse(text)

    assert root.findtext('name') == 'a<b'
    assert root.findtext('description') == 'it & that'
    assert snapshot_xml.memory_file(root) == '/i/m.mem'
    assert snapshot_xml.external_disks(root) == {'vda': '/i/o.qcow2'}
    assert snapshot_xml.record(root).external


def test_a_new_internal_snapshot():
    """An internal snapshot names its disks, and leaves out the others."""
    text = snapshot_xml.internal_snapshot('a', '', ['vda'], ['sda'])
    listed = xml.parse(text).findall('disks/disk')

    kinds = {disk.get('name'): disk.get('snapshot') for disk in listed}
    assert kinds == {'vda': 'internal', 'sda': 'no'}


def test_the_emulators_defaults():
    """A definition in which the emulator has noted nothing would change."""
    assert not xml.has_emulator_defaults(Case('branches').domain)
