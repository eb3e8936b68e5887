# SPDX-License-Identifier: Apache-2.0
"""
What is not looked for is not in the way.

A FUSE mount whose process has died, or another user's sshfs, lets libvirt fail
to read the folder that it is in, and stop the pool that somebody has over it.
"""

import contextlib

import pytest
import requests

from tests.functional.conftest import SMALL
from tests.lab.domains import Disk
from tests.lab.host import IMAGES
from tests.served import message_ids

pytestmark = pytest.mark.once

FOLDER = '/srv/home'


def in_folder(make_system, host):
    host.path(FOLDER).mkdir(parents=True, exist_ok=True)
    return make_system(**SMALL | {'disks': (
        Disk(size_mib=16, formatted=False, folder=FOLDER),
    )})  # fmt: skip


def check_all(emulator, system):
    """A create, a revert and a delete all take place."""
    for ask in (
        lambda: emulator.post_create(system.uuid, Name='s'),
        lambda: emulator.post_revert(system.uuid, 'before'),
        lambda: emulator.send_delete(system.uuid, 's'),
    ):
        response = ask()
        assert response.status_code == 202, response.text
        ended = emulator.wait(response)
        assert ended.ok, ended.text
    number = response.headers['Location'].rpartition('/')[2]
    task = requests.get(
        f'{emulator.url}/redfish/v1/TaskService/Tasks/{number}'
    ).json()
    left = [
        message['MessageArgs'][0]
        for message in task['Messages']
        if message['MessageId'].endswith('.CleanupFailed')
        and message['MessageArgs'][0].endswith('.qcow2')
    ]
    response = emulator.send_delete(system.uuid, 'before')
    if left:
        # Nobody can tell whether there is data in what could not be removed.
        assert message_ids(response) == ['SnapshotCloned'], response.text
        assert left[0] in response.text
    else:
        assert emulator.wait(response).ok


@pytest.mark.parametrize('owner', [0, 1000])
def test_in_the_folder(make_system, emulator, host, mount, owner):
    """All goes on in the folder where the mount is."""
    system = in_folder(make_system, host)
    emulator.create(system.uuid, Name='before')
    mount(host.path(f'{FOLDER}/mount'), owner)

    check_all(emulator, system)


def test_a_guest_in_the_folder(make_system, emulator, host, mount):
    """The memory of a guest is captured and brought back there as well."""
    host.path(FOLDER).mkdir(parents=True, exist_ok=True)
    system = make_system(disks=(Disk(folder=FOLDER),)).boot()
    emulator.create(system.uuid, Name='before')
    mount(host.path(f'{FOLDER}/mount'), 0)

    check_all(emulator, system)


def test_elsewhere(make_system, emulator, host, mount):
    """And all the more for a system whose disks lie in another folder."""
    neighbour, system = in_folder(make_system, host), make_system(**SMALL)
    emulator.create(neighbour.uuid, Name='theirs')
    emulator.create(system.uuid, Name='before')
    # What lists them looks into the folder, and remembers it.
    emulator.snapshots(neighbour.uuid)
    mount(host.path(f'{FOLDER}/mount'), 0)

    check_all(emulator, system)


@pytest.fixture
def pool(host):
    """The pool over the image folder, which is started again at the end."""
    with contextlib.closing(host.connect()) as connection:
        found = connection.storagePoolLookupByName('default')
        yield found
        if not found.isActive():
            found.create()


def test_the_pool_of_somebody(make_system, emulator, host, pool, mount):
    """A pool that was started is started afterwards."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='before')
    mount(host.path(f'{IMAGES}/mount'), 0)

    emulator.send_delete(system.uuid, 'before')

    assert pool.isActive()
