# SPDX-License-Identifier: Apache-2.0
"""Who else is backed by the files of recorded snapshots."""

import pytest

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import dependents
from tests.unit.libvirt.recordings import CASES, Case, volumes

IMAGES = '/var/lib/libvirt/images'
OTHER = '6a7a1f2c-0000-4000-8000-000000000001'


def host_files(**domains):
    """The recorded host, and the files of *domains*, one at most, besides."""
    cases = [Case(name) for name in CASES if name != 'reverted']
    found = {
        case.uuid: (case.folder.name, dependents.named_in(case.live).files)
        for case in cases
    }
    for name, files in domains.items():
        found[OTHER] = name, files
    known = volumes()
    return dependents.HostFiles(
        folders=frozenset([IMAGES]),
        volumes=known,
        backing={path: below for path, below in known.values() if below},
        domains=found,
        listed=100.0,
        read=50.0,
    )


def look(files, case):
    """The other domains, and the files, that *case* must not lose."""
    wanted = set().union(*case.disk_files().values())
    wanted = wanted.union(*(s.overlays for s in case.seen))
    own = wanted | dependents.named_in(case.live).files
    own = own.union(*(s.files for s in case.seen))
    found, loose = files.dependents(case.uuid, own, wanted)
    return [d.name for d, _ in found], [path for path, _ in loose]


def test_a_clone_of_nobody():
    """A file over the first disk that no domain has is a dependent."""
    assert look(host_files(), Case('branches')) == (
        [],
        [f'{IMAGES}/clone.qcow2'],
    )


def test_a_clone_of_a_domain():
    """A domain on a file over the first disk is one, and not its file."""
    files = host_files(clone=frozenset([f'{IMAGES}/clone.qcow2']))

    assert look(files, Case('branches')) == (['clone'], [])


def test_a_clone_is_of_one_snapshot():
    """The chain of a clone tells which snapshots it keeps."""
    case, files = Case('branches'), host_files()
    chain = files.chain(f'{IMAGES}/clone.qcow2')

    names = [n for n, paths in case.disk_files().items() if chain & {*paths}]
    assert names == list(case.inventory['dependents'])


@pytest.mark.parametrize('name', ['deleted', 'uefi-off', 'internal'])
def test_no_dependents(name):
    """A system whose files nobody else has, has no dependents."""
    assert look(host_files(), Case(name)) == ([], [])


def test_freshness():
    """An older record will not do for who asked later, or for more."""
    files, folders = host_files(), frozenset([IMAGES])
    cached, listed, full = contract.Freshness

    assert files.will_do(folders, cached, 109.0)
    assert not files.will_do(folders, cached, 111.0)
    assert files.will_do(folders, listed, 99.0)
    assert not files.will_do(folders, listed, 101.0)
    assert files.will_do(folders, full, 49.0)
    assert not files.will_do(folders, full, 51.0)
    assert not files.will_do(folders | {'/elsewhere'}, cached, 0.0)


def test_a_chain_with_a_cycle_ends():
    """Files that are backed by each other do not hang a look."""
    files = dependents.HostFiles(
        frozenset(), {}, {'/a': '/b', '/b': '/a'}, {}, 0.0, 0.0
    )

    assert files.chain('/a') == {'/a', '/b'}


def test_what_a_definition_names():
    """A running domain names all files of its chains."""
    named = dependents.named_in(Case('branches').live)

    assert named.running
    assert f'{IMAGES}/branches-1.qcow2' in named.files
    assert not dependents.named_in(Case('uefi-off').live).running
