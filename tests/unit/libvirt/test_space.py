# SPDX-License-Identifier: Apache-2.0
"""What a create is said to need is never less than what it writes."""

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import space, xml
from hawkfish_plugin.drivers.libvirt.domains import Domain

KIB, MIB, GIB = 2**10, 2**20, 2**30
PLAIN = xml.parse('<domain><devices/></domain>')
WITH_VIDEO = xml.parse(
    "<domain><devices><video><model type='qxl' ram='65536' vram='65536'/>"
    '</video></devices></domain>'
)


class Storage:
    """Disks of which each overlay begins with a MiB, and room for more."""

    free = 100 * GIB

    def overlay_size(self, base):
        return MIB

    def size(self, path):
        return 4 * MIB, 4 * KIB

    def file_system(self, folder):
        return 2 * self.free, self.free


class Host:
    storage = Storage()


class Handle:
    """A guest of 1 GiB, three quarters of which a balloon has taken."""

    def info(self):
        return [1, GIB // KIB, GIB // 4 // KIB, 1, 0]


DOMAIN = Domain(Host(), Handle())


def test_all_the_memory():
    """A balloon that is full now may be empty before the memory is saved."""
    own = space.own_bytes(DOMAIN, PLAIN, '/m/image', {})

    assert list(own) == ['/m/image']
    assert GIB * 1.1 < own['/m/image'] < 1.3 * GIB


def test_the_memory_of_video_cards():
    """QEMU saves it beside that of the guest."""
    plain = space.own_bytes(DOMAIN, PLAIN, '/i', {})['/i']
    video = space.own_bytes(DOMAIN, WITH_VIDEO, '/i', {})['/i']

    assert video - plain >= 128 * MIB


def test_copies_of_the_firmware():
    """Each is there twice until it has its name in full."""
    own = space.own_bytes(DOMAIN, PLAIN, None, {'/n/VARS.fd': '/i/copy.gz'})

    assert list(own) == ['/i/copy.gz']
    assert 8 * MIB < own['/i/copy.gz'] < 9 * MIB


def test_where_it_is_needed():
    """Each folder needs what goes there, and the headroom where disks grow."""
    paths = {'vda': '/a/1', 'vdb': '/a/2', 'vdc': '/b/3'}
    overlays = {t: f'/o/{t}' for t in paths}
    own = {'/m/image': GIB, '/a/copy': KIB}

    needs = space.for_create(Storage(), paths, overlays, own, 10)

    assert {need.folder: need.needed for need in needs} == {
        '/o': 10 * MIB + 3 * MIB,
        '/m': GIB,
        '/a': KIB,
    }


def test_an_internal_snapshot():
    """It is in the disks themselves, the memory in the first."""
    needs = space.for_create(
        Storage(), {'vda': '/a/1', 'vdb': '/b/2'}, {}, {'/a/1': GIB}, 10
    )

    assert {need.folder: need.needed for need in needs} == {
        '/a': 10 * MIB + GIB,
        '/b': 10 * MIB,
    }


def need(folder, needed, available, capacity=GIB):
    return space.Need(folder, needed, available, capacity)


def test_folders_on_one_file_system():
    """What they need is added up, though others write there meanwhile."""
    needs = [need('/a', 40 * MIB, 60 * MIB), need('/b', 30 * MIB, 59 * MIB)]

    space.check(needs[:1])
    space.check(needs[1:])
    with pytest.raises(exceptions.Refused) as refused:
        space.check(needs)

    (error,) = refused.value.parts
    assert error.args == ('/a, /b', str(70 * MIB), str(59 * MIB))


def test_folders_on_two_file_systems():
    """Each has room for its own, by its size or by what is free."""
    first = need('/a', 40 * MIB, 60 * MIB)

    space.check([first, need('/b', 30 * MIB, 60 * MIB, 2 * GIB)])
    space.check([first, need('/b', 30 * MIB, 600 * MIB)])


@pytest.mark.parametrize('folder, named', [(None, '/a'), ('/o', '/o')])
def test_a_revert(monkeypatch, folder, named):
    """Its overlays need room where they go."""
    monkeypatch.setattr(Storage, 'free', 0)

    needs = space.for_revert(Storage(), ['/a/1', '/a/2'], folder)

    with pytest.raises(exceptions.Refused) as refused:
        space.check(needs)
    (error,) = refused.value.parts
    assert error.args[:2] == (named, str(2 * MIB))
