# SPDX-License-Identifier: Apache-2.0
"""Which definitions keep the memory of their guests from being saved."""

import pytest

from hawkfish_plugin.drivers.libvirt import memory_blockers, xml
from tests.unit.libvirt.recordings import CASES, Case


def blockers(devices, before=''):
    text = f'<domain>{before}<devices>{devices}</devices></domain>'
    return memory_blockers.in_definition(xml.parse(text))


@pytest.mark.parametrize(
    'device',
    [
        "<hostdev mode='subsystem' type='pci'/>",
        "<hostdev mode='subsystem' type='mdev'/>",
        "<hostdev mode='subsystem' type='scsi'/>",
        "<hostdev mode='capabilities' type='storage'/>",
        "<interface type='hostdev'/>",
        "<interface type='vdpa'/>",
        "<filesystem><driver type='virtiofs'/></filesystem>",
        "<shmem name='a'><model type='ivshmem-plain'/></shmem>",
        "<shmem name='a' role='peer'/>",
        "<video><model type='virtio'><acceleration accel3d='yes'/></model>"
        '</video>',
        "<video><driver name='vhostuser'/><model type='virtio'/></video>",
        "<smartcard mode='host'/>",
        "<sound model='usb'/>",
    ],
)
def test_a_device(device):
    """Each device whose state is outside the guest is one reason."""
    assert len(blockers(device)) == 1


@pytest.mark.parametrize(
    'device',
    [
        "<hostdev mode='subsystem' type='usb'/>",
        "<interface type='network'><source network='default'/></interface>",
        # Only while the guest has mounted it, and QEMU knows that.
        "<filesystem type='mount'><source dir='/srv'/></filesystem>",
        "<shmem name='a' role='master'/>",
        "<video><model type='virtio'><acceleration accel3d='no'/></model>"
        '</video>',
        "<smartcard mode='passthrough'/>",
        "<sound model='ich9'/>",
    ],
)
def test_a_device_that_is_saved(device):
    """Devices of the guest itself keep nothing from being saved."""
    assert blockers(device) == []


INVTSC = "<cpu><feature policy='{}' name='invtsc'/></cpu>"


@pytest.mark.parametrize(
    'before, kept',
    [
        (INVTSC.format('require'), True),
        (INVTSC.format('force'), True),
        (INVTSC.format('disable'), False),
        (
            INVTSC.format('require')
            + "<clock><timer name='tsc' frequency='2000000000'/></clock>",
            False,
        ),
        ("<launchSecurity type='sev'/>", True),
        ("<launchSecurity type='tdx'/>", True),
        ("<launchSecurity type='s390-pv'/>", False),
    ],
)
def test_the_processor(before, kept):
    """A counter that cannot be set again, or a key that nobody has."""
    assert bool(blockers('', before)) is kept


@pytest.mark.parametrize('case', CASES)
def test_an_ordinary_system(case):
    """Systems whose memory was saved have no reason."""
    assert memory_blockers.in_definition(Case(case).domain) == []
