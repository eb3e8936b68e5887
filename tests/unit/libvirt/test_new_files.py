# SPDX-License-Identifier: Apache-2.0
"""Where the files of a new snapshot go, and what they take."""

import pytest

from hawkfish_plugin import conf, exceptions
from hawkfish_plugin.drivers.libvirt import filenames, new_files, volumes

PATHS = {'vda': '/images/a.qcow2', 'vdb': '/data/b.raw'}
GIB, KIB = 2**30, 2**10


@pytest.fixture
def options(monkeypatch):
    def read(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(f'OS_SNAPSHOTS__{name.upper()}', value)
        return conf.load()

    return read


class Storage:
    """A host that has some folders."""

    def __init__(self, *folders):
        self.folders = folders

    def has_folder(self, folder):
        return folder in self.folders


def test_beside_the_disks(options):
    """Each overlay is beside its disk, all else beside the first."""
    made = new_files.name(PATHS, True, ['nvram'], options())

    assert made.overlays['vda'].startswith('/images/hawkfish-')
    assert made.overlays['vdb'].startswith('/data/hawkfish-')
    assert made.memory.startswith('/images/hawkfish-')
    assert made.copies['nvram'].startswith('/images/hawkfish-')
    assert len(set(made.all)) == 4
    assert all(map(filenames.is_ours, made.all))


def test_elsewhere(options):
    """Two disks share a directory, and never a name."""
    made = new_files.name(
        PATHS,
        True,
        ['tpm'],
        options(overlay_dir='/fast/', memory_dir='//big/./mem'),
    )

    assert all(p.startswith('/fast/haw') for p in made.overlays.values())
    assert made.memory.startswith('/big/mem/hawkfish-')
    assert made.copies['tpm'].startswith('/images/')
    assert len(set(made.all)) == 4


def test_memory_follows_the_overlays(options):
    """Without a directory of its own, memory is beside the first overlay."""
    made = new_files.name(PATHS, True, [], options(overlay_dir='/fast'))

    assert made.memory.startswith('/fast/')


@pytest.mark.parametrize('value', ['images', '', './x'])
def test_a_directory_is_absolute(options, value):
    """A relative one would be the emulator's, not the hypervisor's."""
    with pytest.raises(exceptions.ConfigurationInvalid):
        options(overlay_dir=value)


def refusals(storage, paths, made, memory=True):
    return [
        (type(error), error.args[0])
        for error in new_files.refusals(storage, paths, memory, made)
    ]


def test_directories_that_are_not_there(options):
    """Each is told once, and that of the memory only where it is saved."""
    given = options(overlay_dir='/fast', memory_dir='/mem')
    missing = exceptions.FolderMissing

    found = refusals(Storage('/images'), PATHS, given)

    assert found == [(missing, '/fast'), (missing, '/mem')]
    assert refusals(Storage('/mem'), PATHS, given, memory=False) == [
        (missing, '/fast')
    ]
    assert refusals(Storage('/fast', '/mem'), PATHS, given) == []


@pytest.mark.parametrize(
    'length, fits', [(255, True), (1023, True), (1024, False), (3000, False)]
)
def test_the_longest_path(options, length, fits):
    """A path that no qcow2 file can name as its base is told beforehand."""
    path = '/d/'.ljust(length, 'x')

    found = refusals(Storage(), {'vda': path}, options())

    assert (found == []) is fits


def test_the_overlay_may_be_longer_than_the_disk(options):
    """The overlay of a short name is the base of the next one."""
    folder = '/' + 'é' * 500
    found = refusals(Storage(), {'vda': f'{folder}/a'}, options())

    assert found == [(exceptions.DiskPathTooLong, 'vda')]


@pytest.mark.parametrize(
    'capacity, cluster, least',
    [
        (0, 0, 4 * 64 * KIB),
        (2 * 2**40, 64 * KIB, 32 * KIB + 4 * 64 * KIB),
        (2 * 2**40, 4 * KIB, 2 * 2**40 // 2**18),
        (GIB, 2**21, 4 * 2**21),
    ],
)
def test_an_empty_overlay(capacity, cluster, least):
    """Its tables are counted, with the clusters of its base and without."""
    size = volumes.overlay_size(capacity, cluster)

    assert least <= size < 2 * least + 2 * 2**20
