# SPDX-License-Identifier: Apache-2.0
"""
To look into a folder changes nothing on the host.

libvirt regards a pool of the type fs or netfs as started where the file system
is mounted already, by fstab say, and unmounts it when the pool is stopped: so
a look that starts it takes the disks away.
"""

import contextlib
import os
import pathlib

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator
from tests.lab.domains import Disk
from tests.waiting import holds_for

pytestmark = pytest.mark.once

FOLDER = '/mnt/share'


@pytest.fixture
def share(host):
    """A mounted file system, with a pool over it that is not started."""
    target = host.mount_small(FOLDER, 700, 'ext4')
    device = next(
        line.split()[0]
        for line in pathlib.Path('/proc/mounts').read_text().splitlines()
        if line.split()[1] == str(target)
    )
    with contextlib.closing(host.connect()) as connection:
        pool = connection.storagePoolDefineXML(
            f"<pool type='fs'><name>share</name><source><device "
            f"path='{device}'/></source><target><path>{FOLDER}</path>"
            '</target></pool>'
        )
        yield target
        with contextlib.suppress(libvirt.libvirtError):
            pool.destroy()
        pool.undefine()
    if os.path.ismount(target):
        host.unmount(FOLDER)


def disks():
    return (Disk(size_mib=16, formatted=False, folder=FOLDER),)


@pytest.mark.parametrize('what', ['look', 'create'])
def test_a_share_stays_mounted(share, make_system, emulator, what):
    """Neither a question nor a create unmounts a file system."""
    system = make_system(**{**SMALL, 'disks': disks()})

    if what == 'look':
        response = requests.get(
            f'{emulator.system(system.uuid)}/Oem/HawkFish/SnapshotPolicy',
            timeout=60,
        )
    else:
        response = emulator.post_create(system.uuid, Name='s')
        if response.status_code == 202:
            response = emulator.wait(response)

    assert os.path.ismount(share), (response.status_code, response.text)
    assert response.ok, response.text
    system.domain.create()
    system.domain.destroy()


def test_an_emulator_starts(share, make_system, host, folder):
    """Nor does an emulator that is started, and asked for nothing."""
    make_system(**{**SMALL, 'disks': disks()})
    served = Emulator(folder, host.uri)
    served.start()
    try:
        assert holds_for(lambda: os.path.ismount(share), 10)
    finally:
        served.stop()


def test_a_share_that_is_in_use(share, make_system, emulator):
    """A system that runs from such a file system can have snapshots."""
    system = make_system(**{**SMALL, 'disks': disks()})
    system.domain.create()
    try:
        response = emulator.post_create(
            system.uuid, Name='s', IncludeMemory=False
        )
        if response.status_code == 202:
            response = emulator.wait(response)
        assert response.ok, response.text
    finally:
        system.domain.destroy()
