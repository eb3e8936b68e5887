# SPDX-License-Identifier: Apache-2.0
"""A clone leads nowhere, whatever its system is made of."""

import pytest

from hawkfish_plugin.drivers.libvirt import clone_xml, xml
from hawkfish_plugin.drivers.libvirt.clone_xml import Clone

OLD, NEW = (f'00000000-0000-4000-8000-00000000000{n}' for n in '12')
BASE = """
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>old</name>
  <uuid>{old}</uuid>
  <metadata><x/></metadata>
  <memory unit='KiB'>65536</memory>
  <sysinfo type='smbios'><system><entry name='uuid'>{old}</entry></system>
  </sysinfo>
  <os><type>hvm</type><nvram template='/t'>/old/nvram</nvram></os>
  <on_crash>preserve</on_crash>
  {top}
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='/old/vda.raw'/>
      <backingStore type='file'><source file='/old/base'/></backingStore>
      <target dev='vda' bus='virtio'/>
    </disk>
    {devices}
  </devices>
</domain>
"""
CLONE = Clone(
    'clone', NEW, {'vda': '/c/vda.qcow2'}, ['/gone.iso'], {'nvram': '/c/nvram'}
)


def root_of(devices='', top=''):
    return xml.parse(BASE.format(old=OLD, devices=devices, top=top))


def build(devices='', top=''):
    return clone_xml.build(root_of(devices, top), CLONE)


def test_it_has_files_and_names_of_its_own():
    """Nothing of the original's is left in it."""
    made = build(top="<seclabel type='dynamic' model='selinux'/>")

    text = xml.render(made)
    assert '/old' not in text and OLD not in text
    assert made.findtext('name') == 'clone'
    assert made.findtext('os/nvram') == '/c/nvram'
    assert made.findtext('on_crash') == 'destroy'
    assert made.find('metadata') is made.find('seclabel') is None
    assert xml.files(made) == ['/c/vda.qcow2']
    assert made.find('devices/disk/driver').get('type') == 'qcow2'


NICS = """
<interface type='network'><mac address='52:54:00:00:00:01'/>
  <source network='default' portid='1' bridge='br0'/><target dev='tap7'/>
  <virtualport type='openvswitch'><parameters interfaceid='i'/></virtualport>
  <model type='virtio'/><link state='up'/><filterref filter='f'/></interface>
<interface type='user'><mac address='52:54:00:00:00:02'/></interface>
"""


def test_its_links_are_down():
    """Its MAC is the guest's, but no port of the host takes it for that."""
    first, second = build(NICS).findall('devices/interface')

    assert first.find('link').get('state') == 'down'
    assert second.find('link').get('state') == 'down'
    assert len(first.findall('link')) == 1
    assert first.find('mac').get('address') == '52:54:00:00:00:01'
    assert first.find('target') is first.find('filterref') is None
    assert first.find('virtualport/parameters') is None
    assert first.find('source').get('portid') is None


@pytest.mark.parametrize(
    'live, isolated',
    [
        ('', True),
        ("<interface><link state='down'/></interface>", True),
        ("<interface><link state='up'/></interface>", False),
        ('<interface/>', False),
        ("<graphics type='vnc' port='-1'/>", True),
        ("<graphics type='vnc' port='5900'/>", False),
    ],
)
def test_what_is_isolated_is_seen(live, isolated):
    """In what libvirt says of a clone that is not resumed yet."""
    assert clone_xml.is_isolated(root_of(live)) is isolated


def test_nobody_reaches_it():
    """No graphics listen, and no socket or file of the host is opened."""
    made = build(
        """
        <graphics type='vnc' port='5901' listen='0.0.0.0' passwd='p'>
          <listen type='address' address='0.0.0.0'/></graphics>
        <graphics type='spice' autoport='yes'/>
        <serial type='file'><source path='/log'/><target port='0'/></serial>
        <serial type='tcp'><source mode='bind' host='0' service='99'/></serial>
        <console type='unix'><source path='/sock'/></console>
        <channel type='unix'><source path='/agent'/>
          <target type='virtio' name='org.qemu.guest_agent.0'/></channel>
        <channel type='spicevmc'><target type='virtio' name='v'/></channel>
        <rng model='virtio'><backend model='egd' type='tcp'>
          <source host='1.2.3.4'/></backend></rng>
        <audio id='1' type='file' path='/a'/>
        <tpm model='tpm-crb'><backend type='emulator' version='2.0'
          persistent_state='yes'><source type='dir' path='/state'/></backend>
        </tpm>
        """
    )

    text = xml.render(made)
    assert not [
        word
        for word in (
            *('590', '0.0.0.0', 'passwd', '/log', '99', '/sock', '/agent'),
            *('1.2.3.4', '/a"', '/state', 'persistent_state'),
        )
        if word in text
    ]
    assert {
        listen.get('type')
        for listen in made.findall('devices/graphics/listen')
    } == {'none'}
    kinds = [e.get('type') for e in made.findall('devices/channel')]
    assert kinds == ['unix', 'spicevmc']


@pytest.mark.parametrize(
    'device, told',
    [
        ("<hostdev mode='subsystem' type='pci'/>", 'hostdev pci'),
        ("<filesystem type='mount'/>", 'filesystem mount'),
        ("<interface type='direct'/>", 'interface direct'),
        ("<interface type='vhostuser'/>", 'interface vhostuser'),
        ("<shmem name='s'/>", 'shmem'),
        ("<vsock model='virtio'/>", 'vsock virtio'),
        ("<input type='evdev'/>", 'input evdev'),
        (
            "<tpm model='tpm-tis'><backend type='passthrough'/></tpm>",
            'tpm tpm-tis',
        ),
        ("<redirdev bus='usb' type='tcp'/>", 'redirdev tcp'),
        ("<channel type='spicevmc'/>", 'channel spicevmc'),
        (
            "<disk type='file' device='disk'><source file='/w'/>"
            "<target dev='vdb'/></disk>",
            'disk vdb',
        ),
        (
            "<disk type='block' device='disk'><source dev='/dev/sdx'/>"
            "<target dev='vdb'/><readonly/></disk>",
            'disk vdb',
        ),
        (
            "<memory model='nvdimm'><source><path>/n</path></source></memory>",
            'memory nvdimm',
        ),
    ],
)
def test_what_is_of_the_host_is_foreign(device, told):
    """It is told, and left out."""
    assert clone_xml.foreign(root_of(device), ['vda']) == [told]
    before = len(build().find('devices'))
    assert len(build(device).find('devices')) == before


def test_a_command_line_of_qemu_is_foreign():
    """It could name anything."""
    line = "<qemu:commandline><qemu:arg value='-S'/></qemu:commandline>"

    assert clone_xml.foreign(root_of(top=line), ['vda']) == ['commandline']
    assert 'commandline' not in xml.render(build(top=line))


def test_media_are_read_or_ejected():
    """What the guest could write to, or is a device, is not in the drive."""
    drives = [
        ("type='file'", "file='/a.iso'", '<readonly/>', '/a.iso'),
        ("type='file'", "file='/gone.iso'", '<readonly/>', None),
        ("type='file'", "file='/a.img'", '', None),
        ("type='block'", "dev='/dev/sr0'", '<readonly/>', None),
    ]
    for kind, source, readonly, left in drives:
        drive = (
            f"<disk {kind} device='cdrom'><source {source}/>{readonly}"
            "<target dev='sda'/></disk>"
        )
        assert clone_xml.foreign(root_of(drive), ['vda']) == []
        disk = build(drive).findall('devices/disk')[1]
        found = disk.find('source')
        assert (None if found is None else found.get('file')) == left


def test_a_shell_has_the_tpm_alone():
    """To undefine it is to remove the state of that."""
    made = clone_xml.shell(
        root_of("<tpm model='tpm-crb'><backend type='emulator'/></tpm>"),
        NEW,
        'clone',
    )

    assert [device.tag for device in made.find('devices')] == ['tpm']
    assert made.findtext('uuid') == NEW
