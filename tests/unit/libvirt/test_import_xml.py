# SPDX-License-Identifier: Apache-2.0
"""What becomes of the definition of a bundle."""

from xml.etree import ElementTree

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import import_xml
from hawkfish_plugin.drivers.libvirt.import_xml import Known, Rebuilt

BASE = """
<domain type='{kind}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>old</name>
  <uuid>00000000-0000-4000-8000-000000000001</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>{os}<boot dev='hd'/></os>
  {top}
  <devices>
    <disk type='file' device='disk' snapshot='external'>
      <driver name='qemu' type='raw' cache='none'/>
      <source file='/old/vda.raw'><seclabel model='dac' relabel='no'/></source>
      <backingStore type='file'><source file='/etc/passwd'/></backingStore>
      <target dev='vda' bus='virtio'/>
    </disk>
    {devices}
  </devices>
</domain>
"""
NOTHING = Known()
NEW = '00000000-0000-4000-8000-000000000002'


def rebuilt(kind='kvm', os='', top='', devices='', known=NOTHING):
    text = BASE.format(kind=kind, os=os, top=top, devices=devices)
    root = import_xml.parse(text)
    return Rebuilt(root, 'new', NEW, {'vda': '/pool/vda.qcow2'}, known)


def text_of(made):
    return ElementTree.tostring(made.root, encoding='unicode')


def test_the_system_is_another_one():
    """With the same hardware, and its own name and identity."""
    made = rebuilt().root

    assert made.findtext('name') == 'new'
    assert made.findtext('uuid') == NEW
    assert (made.findtext('memory'), made.findtext('vcpu')) == ('64', '2')
    assert made.find('os/type').get('machine') == 'q35'


def test_a_disk_is_the_file_that_was_received():
    """And names no other."""
    made = rebuilt()
    (disk,) = made.root.findall('devices/disk')

    assert disk.find('source').get('file') == '/pool/vda.qcow2'
    assert disk.find('driver').attrib == {
        'name': 'qemu',
        'type': 'qcow2',
        'cache': 'none',
    }
    assert '/etc/passwd' not in text_of(made)
    assert '/old/' not in text_of(made)


@pytest.mark.parametrize(
    'device, left_out',
    [
        ("<hostdev mode='subsystem' type='pci'/>", 'hostdev pci'),
        ("<filesystem type='mount'><source dir='/'/></filesystem>", None),
        ("<shmem name='evil'/>", None),
        ("<memory model='nvdimm'><source><path>/evil</path></source></memory>",
         None),
        ("<disk type='block' device='disk'><source dev='/dev/evil'/>"
         "<target dev='vdb'/></disk>", 'disk block'),
        ("<disk type='file' device='lun'><source file='/evil'/>"
         "<target dev='sda'/></disk>", None),
        ("<interface type='ethernet'><script path='/evil'/></interface>",
         'interface ethernet'),
        ("<interface type='vhostuser'><source path='/evil'/></interface>",
         None),
        ("<rng model='virtio'><backend model='egd' type='unix'>"
         "<source path='/evil'/></backend></rng>", None),
        ("<rng model='virtio'><backend model='random'>/evil</backend></rng>",
         None),
        ("<tpm model='tpm-tis'><backend type='passthrough'>"
         "<device path='/evil'/></backend></tpm>", None),
        ("<input type='evdev'><source dev='/evil'/></input>", None),
        ("<graphics type='egl-headless'><gl rendernode='/evil'/></graphics>",
         None),
        ("<redirdev bus='usb' type='unix'><source path='/evil'/></redirdev>",
         None),
        ("<channel type='file'><source path='/evil'/>"
         "<target type='virtio' name='x'/></channel>", None),
        ("<smartcard mode='host-certificates'/>", None),
        ("<vsock model='virtio'/>", None),
    ],
)  # fmt: skip
def test_devices_of_the_host_are_left_out(device, left_out):
    """And that is told."""
    made = rebuilt(devices=device)

    assert 'evil' not in text_of(made)
    assert len(made.left_out) == 1
    assert left_out is None or made.left_out == [left_out]


@pytest.mark.parametrize(
    'device, kept',
    [
        ("<serial type='file'><source path='/evil'/></serial>",
         'serial[@type="pty"]'),
        ("<console type='tcp'><source host='evil'/></console>",
         'console[@type="pty"]'),
        ("<channel type='unix'><source mode='bind' path='/evil'/>"
         "<target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
         'channel[@type="unix"]'),
        ("<interface type='network'><mac address='52:54:00:0e:51:1d'/>"
         "<source network='lab' portid='evil'/><backend tap='/evil'/>"
         "<target dev='evil0'/><model type='virtio'/></interface>",
         'interface/source[@network="lab"]'),
        ("<graphics type='vnc' listen='0.0.0.0' socket='/evil' passwd='p'>"
         "<listen type='socket' socket='/evil'/></graphics>",
         'graphics[@autoport="yes"]'),
        ("<tpm model='tpm-crb'><backend type='emulator' version='2.0'>"
         "<source type='dir' path='/evil'/></backend></tpm>",
         'tpm/backend[@type="emulator"]'),
        ("<disk type='file' device='cdrom'><source file='/evil'/>"
         "<target dev='sda'/></disk>", 'disk[@device="cdrom"]'),
        ("<rng model='virtio'><backend model='random'>/dev/urandom</backend>"
         "</rng>", 'rng/backend'),
        ("<controller type='pci' index='0' model='pcie-root'/>",
         'controller'),
    ],
)  # fmt: skip
def test_other_devices_lose_what_they_have_of_the_host(device, kept):
    """They are there, and lead nowhere."""
    made = rebuilt(devices=device)

    assert made.root.find(f'devices/{kept}') is not None
    for word in ('evil', '52:54:00', '0.0.0.0'):
        assert word not in text_of(made)
    assert not made.left_out


@pytest.mark.parametrize(
    'top',
    [
        "<qemu:commandline><qemu:arg value='evil'/></qemu:commandline>",
        "<metadata><evil/></metadata>",
        "<seclabel type='static' model='dac'><label>evil</label></seclabel>",
        "<resource><partition>/evil</partition></resource>",
        "<memoryBacking><source type='evil'/></memoryBacking>",
    ],
)
def test_what_is_not_known_is_not_taken_over(top):
    """At the top of the definition as well."""
    assert 'evil' not in text_of(rebuilt(top=top))


@pytest.mark.parametrize('tag', ['kernel', 'initrd', 'loader'])
def test_files_of_the_host_are_those_that_others_use(tag):
    """Or those of its packages."""
    with pytest.raises(exceptions.ImportNotPossible):
        rebuilt(os=f'<{tag}>/etc/shadow</{tag}>')
    with pytest.raises(exceptions.ImportNotPossible):
        rebuilt(os=f'<{tag}>/usr/share/../../etc/shadow</{tag}>')

    packaged = rebuilt(os=f'<{tag}>/usr/share/x</{tag}>')
    used = rebuilt(os=f'<{tag}>/lab/x</{tag}>', known=Known({'/lab/x'}))

    assert packaged.root.findtext(f'os/{tag}') == '/usr/share/x'
    assert used.root.findtext(f'os/{tag}') == '/lab/x'


def test_variables_get_a_path_of_their_own():
    """By libvirt, which makes it from the name."""
    made = rebuilt(
        os="<nvram template='/usr/share/vars.fd'>/old/old_VARS.fd</nvram>"
    )

    (nvram,) = made.root.findall('os/nvram')
    assert nvram.attrib == {'template': '/usr/share/vars.fd'}
    assert not nvram.text


def test_a_log_goes_beside_those_of_other_systems():
    """Under the name of the new one; in other folders there is none."""
    device = "<serial type='file'><source path='{}/old.log'/></serial>"
    known = Known(sockets={'/logs/other.log'})

    beside = rebuilt(devices=device.format('/logs'), known=known)
    elsewhere = rebuilt(devices=device.format('/etc'), known=known)

    found = beside.root.find('devices/serial/source')
    assert found.get('path') == '/logs/new.log'
    assert elsewhere.root.find('devices/serial').get('type') == 'pty'


@pytest.mark.parametrize(
    'text',
    [
        'x',
        '<domain/>',
        '<pool><devices/></pool>',
        '<!DOCTYPE d [<!ENTITY a "b">]><domain><devices/></domain>',
    ],
)
def test_what_is_no_definition(text):
    """Is no bundle of libvirt's."""
    with pytest.raises(exceptions.BundleInvalid):
        import_xml.parse(text)


def test_a_log_that_another_system_has_is_not_shared():
    """The new one has none of that name."""
    device = "<serial type='file'><source path='/logs/old.log'/></serial>"
    known = Known(sockets={'/logs/new.log'})

    made = rebuilt(devices=device, known=known)

    assert made.root.find('devices/serial').get('type') == 'pty'


def test_sound_is_played_nowhere():
    """Where is a matter of the host, and not of the guest."""
    made = rebuilt(devices="<audio id='2' type='file' path='/etc/x'/>")

    assert made.root.find('devices/audio').attrib == {
        'id': '2',
        'type': 'none',
    }
    assert not made.left_out
