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


def eject(root):
    """Take the media out of the drives, as release 1.0 did for a revert."""
    for disk in snapshot_xml.captured_elements(root):
        if disk.get('device') in xml.REMOVABLE:
            for source in disk.findall('source'):
                disk.remove(source)


def test_media_go_and_come_back():
    """A medium that was ejected from a snapshot is put back as it was."""
    case = Case('branches')
    root = case.root('base')
    before = xml.media(root.find('domain'))

    assert set(before) == {'sdb'}
    eject(root)
    assert not xml.media(root.find('domain'))
    assert snapshot_xml.insert_media(root, case.root('base'))
    assert set(xml.media(root.find('domain'))) == {'sdb'}
    assert xml.source_file(before['sdb']) == f'{IMAGES}/medium.iso'
    assert not snapshot_xml.insert_media(root, case.root('base'))


def test_putting_media_back_keeps_the_rest():
    """What libvirt noted in a snapshot meanwhile outlives its media."""
    case = Case('branches')
    root = case.root('base')
    eject(root)
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


@pytest.mark.parametrize(
    'disk, encrypted',
    [
        ("<source file='/a'/>", False),
        ("<source file='/a'><encryption format='luks'/></source>", True),
        ("<source file='/a'/><encryption format='qcow'/>", True),
        ("<source file='/a'/><backingStore><source/></backingStore>", False),
    ],
)  # fmt: skip
def test_encryption(disk, encrypted):
    """A disk that QEMU encrypts is known, however its XML says so."""
    (found,) = xml.disks(xml.parse(
        f'<domain><devices><disk>{disk}</disk></devices></domain>'
    ))  # fmt: skip

    assert found.encrypted is encrypted


UUID = '9f3f6c7e-51d1-4a0b-8a8e-0f0e8f1d2c3b'
TPM = '<devices><tpm><backend type="emulator" {}>{}</backend></tpm></devices>'
SWTPM = '/var/lib/libvirt/swtpm'


@pytest.mark.parametrize(
    'inside, swtpm, found',
    [
        (
            '<os><varstore path="/v/a.json"/></os>',
            SWTPM,
            {'varstore': '/v/a.json'},
        ),
        (
            TPM.format('version="2.0"', ''),
            SWTPM,
            {'tpm': f'{SWTPM}/{UUID}/tpm2/tpm2-00.permall'},
        ),
        (
            TPM.format('version="1.2"', ''),
            '/home/u/.config/libvirt/qemu/swtpm',
            {
                'tpm': f'/home/u/.config/libvirt/qemu/swtpm/{UUID}'
                '/tpm1.2/tpm-00.permall'
            },
        ),
        (
            TPM.format('', '<source type="file" path="/t/state"/>'),
            None,
            {'tpm': '/t/state'},
        ),
        (
            TPM.format('version="2.0"', '<source type="dir" path="/t/d/"/>'),
            None,
            {'tpm': '/t/d/tpm2-00.permall'},
        ),
        (TPM.format('version="2.0"', ''), None, {}),
    ],
)
def test_where_the_firmware_is(inside, swtpm, found):
    """UEFI variables and TPMs are found wherever libvirt puts them."""
    domain = xml.parse(f'<domain><uuid>{UUID}</uuid>{inside}</domain>')

    assert xml.firmware(domain, off=True, swtpm=swtpm) == found


def test_video_memory():
    """What video cards have is counted, as QEMU saves it too."""
    domain = xml.parse(
        "<domain><devices><video><model type='qxl' ram='65536' vram='1024'/>"
        "</video><video><model type='vga' vram='16384'/></video></devices>"
        '</domain>'
    )

    assert xml.video_memory(domain) == (65536 + 1024 + 16384) * 2**10
