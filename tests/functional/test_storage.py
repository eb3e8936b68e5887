# SPDX-License-Identifier: Apache-2.0
"""Looking into folders while others do the same, or work in them."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import stat

import libvirt
import pytest

from hawkfish_plugin.drivers.libvirt import devices, hosts
from tests.lab.host import IMAGES

pytestmark = pytest.mark.once

FOLDER = '/var/lib/elsewhere'
VOLUME = """
<volume>
  <name>{name}</name>
  <capacity unit='MiB'>256</capacity><allocation unit='MiB'>256</allocation>
  <target><format type='raw'/></target>
</volume>"""

SMALL_VOLUME = """
<volume>
  <name>{name}</name><capacity>0</capacity>
  <target><format type='raw'/></target>
</volume>"""


def look(uri, folder, rounds):
    """Another process of the emulator: what it sees in each round."""
    import libvirt

    from hawkfish_plugin.drivers.libvirt import hosts

    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with contextlib.closing(libvirt.open(uri)) as connection:
        storage = hosts.Host(connection, hosts.Shared()).storage
        return [
            (
                storage.exists(f'{folder}/file'),
                storage.file_system(folder)[1] > 0,
            )
            for _ in range(rounds)
        ]


@pytest.fixture
def processes():
    context = multiprocessing.get_context('spawn')
    with concurrent.futures.ProcessPoolExecutor(3, context) as pool:
        yield pool


def pools(host):
    with contextlib.closing(host.connect()) as connection:
        return {pool.name() for pool in connection.listAllStoragePools()}


def test_processes_look_at_once(host, processes):
    """Processes that look into one folder see what is in it, and leave."""
    folder = host.path(FOLDER)
    folder.mkdir()
    (folder / 'file').write_text('')

    seen = list(processes.map(look, [host.uri] * 3, [FOLDER] * 3, [40] * 3))

    assert seen == [[(True, True)] * 40] * 3
    assert pools(host) == {'default'}


def fill(uri, folder, names):
    """Another process that makes files of ours, and removes them."""
    import libvirt

    from hawkfish_plugin.drivers.libvirt import filenames, pools

    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    own = filenames.own_folder(folder)
    with contextlib.closing(libvirt.open(uri)) as connection:
        for name in names:
            with pools.over_own(connection, own) as pool:
                pool.createXML(SMALL_VOLUME.format(name=name)).delete()


def test_processes_fill_a_folder_of_ours_at_once(host, processes):
    """Each gets its turn, and none leaves the folder or a pool behind."""
    folder = host.path(FOLDER)
    folder.mkdir(exist_ok=True)
    names = [[f'{who}-{at}' for at in range(40)] for who in 'abc']

    list(processes.map(fill, [host.uri] * 3, [FOLDER] * 3, names))

    assert not [one for one in folder.iterdir() if one.is_dir()]
    assert pools(host) == {'default'}


@pytest.fixture
def other_node():
    """Another node of a device of this machine."""
    path = '/dev/hawkfish-test'
    os.mknod(path, stat.S_IFBLK | 0o600, os.stat('/dev/loop0').st_rdev)
    yield path
    os.unlink(path)


class AtUsualSocket:
    """A connection to the lab, as to the libvirtd of this machine."""

    def __init__(self, connection):
        self._connection = connection

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def getURI(self):
        return 'qemu:///system'


def test_two_nodes_of_a_device(host, other_node):
    """Its number tells."""
    with contextlib.closing(host.connect()) as connection:
        found = devices.names(
            hosts.Host(AtUsualSocket(connection), hosts.Shared()),
            [other_node, '/dev/loop0', '/dev/loop1', '/dev/gone', IMAGES],
        )
    assert found == {
        other_node: other_node,
        '/dev/loop0': other_node,
        '/dev/loop1': '/dev/loop1',
        '/dev/gone': '/dev/gone',
    }


def test_a_volume_is_made_meanwhile(host, processes):
    """A pool that is busy with a new volume is waited for."""
    look_at = [host.uri], [IMAGES], [30]
    with contextlib.closing(host.connect()) as connection:
        pool = connection.storagePoolLookupByName('default')
        seen = processes.map(look, *look_at)
        big = pool.createXML(VOLUME.format(name='big'))
        for number in range(4):
            text = VOLUME.format(name=f'copy-{number}')
            pool.createXMLFrom(text, big).delete()
        big.delete()

    assert list(seen) == [[(False, True)] * 30]


def test_a_pool_that_is_stopped(host, processes):
    """A folder whose own pool is stopped can be looked into; it stays so."""
    with contextlib.closing(host.connect()) as connection:
        pool = connection.storagePoolLookupByName('default')
        pool.destroy()
        try:
            seen = list(processes.map(look, [host.uri], [IMAGES], [2]))
            assert seen == [[(False, True)] * 2]
            assert not pool.isActive()
        finally:
            if not pool.isActive():
                pool.create()


def look_hard(uri, folder, rounds):
    """As ``look``, of a process whose pools others stop meanwhile."""
    import libvirt

    from hawkfish_plugin.drivers.libvirt import backing, hosts

    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    seen = set()
    with contextlib.closing(libvirt.open(uri)) as connection:
        storage = hosts.Host(connection, hosts.Shared()).storage
        for _ in range(rounds):
            try:
                seen.add(storage.exists(f'{folder}/file'))
                found = backing.of_all(storage, [folder], {}, {})
                seen.add('unknown' if found.unread else bool(found.found))
            except libvirt.libvirtError:
                seen.add('unknown')
    return seen


def test_a_pool_that_others_stop(host, processes):
    """What cannot be looked for is not taken for missing."""
    folder = host.path(FOLDER)
    folder.mkdir(exist_ok=True)
    (folder / 'file').write_text('')
    looking = processes.submit(look_hard, host.uri, FOLDER, 200)
    with contextlib.closing(host.connect()) as connection:
        while not looking.done():
            with contextlib.suppress(libvirt.libvirtError):
                connection.storagePoolLookupByTargetPath(FOLDER).destroy()

    assert looking.result() <= {True, 'unknown'}
    assert look_hard(host.uri, FOLDER, 1) == {True}


def test_a_look_that_was_interrupted(host, processes):
    """What a process that died has left of its look is cleared away."""
    host.path(FOLDER).mkdir(exist_ok=True)
    with contextlib.closing(host.connect()) as connection:
        connection.storagePoolCreateXML(
            f"<pool type='dir'><name>hawkfish-{'0' * 32}</name>"
            f'<target><path>{FOLDER}</path></target></pool>'
        )

    list(processes.map(look, [host.uri], [FOLDER], [1]))

    assert pools(host) == {'default'}
