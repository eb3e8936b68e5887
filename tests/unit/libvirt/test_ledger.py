# SPDX-License-Identifier: Apache-2.0
"""Who else is backed by the files of recorded snapshots."""

import dataclasses

import pytest

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    backing,
    definitions,
    far_images,
    host_files,
    identities,
    xml,
)
from hawkfish_plugin.drivers.sharing import FarImage
from tests.unit.libvirt.recordings import CASES, Case, volumes

IMAGES = '/var/lib/libvirt/images'
OTHER = '6a7a1f2c-0000-4000-8000-000000000001'


def recorded_host(**domains):
    """The recorded host, and the files of *domains*, one at most, besides."""
    cases = [Case(name) for name in CASES if name != 'reverted']
    found = {
        case.uuid: definitions.Definition(case.folder.name, named_in(case))
        for case in cases
    }
    for name, files in domains.items():
        found[OTHER] = definitions.Definition(name, files)
    return host_files.HostFiles(
        folders=frozenset([IMAGES]),
        volumes=volumes(),
        definitions=found,
        listed=100.0,
        read=50.0,
    )


def named_in(case):
    return frozenset(xml.files(case.domain))


def files_of(*volumes):
    """A host that has *volumes*: paths, backing files and stamps."""
    found = {('pool', v[0]): backing.Backed(*v) for v in volumes}
    return host_files.HostFiles(frozenset(), found, {}, 0.0, 0.0)


def stamp(number, **others):
    fields = {'capacity': '1', 'physical': '2', 'owner': '0', 'backing': ''}
    fields['allocation'] = str(2**20)
    times = {'modified': f'{number}.5', 'changed': f'{number}.6'}
    return identities.Stamp(**times | fields | others)


def look(files, case):
    """The other domains, and the files, that *case* must not lose."""
    wanted = set().union(*case.disk_files().values())
    wanted = wanted.union(*(s.overlays for s in case.seen))
    own = wanted | named_in(case)
    own = own.union(*(s.files for s in case.seen))
    found, loose = files.dependents(case.uuid, own, wanted)
    return [d.name for d, _ in found], [path for path, _ in loose]


def test_a_clone_of_nobody():
    """A file over the first disk that no domain has is a dependent."""
    assert look(recorded_host(), Case('branches')) == (
        [],
        [f'{IMAGES}/clone.qcow2'],
    )


def test_a_clone_of_a_domain():
    """A domain on a file over the first disk is one, and not its file."""
    files = recorded_host(clone=frozenset([f'{IMAGES}/clone.qcow2']))

    assert look(files, Case('branches')) == (['clone'], [])


def test_a_clone_is_of_one_snapshot():
    """The chain of a clone tells which snapshots it keeps."""
    case, files = Case('branches'), recorded_host()
    chain = files.chain(f'{IMAGES}/clone.qcow2')

    names = [n for n, paths in case.disk_files().items() if chain & {*paths}]
    assert names == list(case.inventory['dependents'])


def test_what_the_own_files_stand_on():
    """It is of nobody else, but for a copy of what nobody could look at."""
    files = files_of(
        ('/images/base', None, stamp(1)),
        ('/images/merged', '/images/base', stamp(2)),
        ('/images/own', '/images/merged', stamp(3)),
        ('/images/clone', '/images/base', stamp(4)),
        ('/images/top', '/gone/hawkfish-0123456789ab-vda.qcow2', stamp(5)),
        ('/copy/hawkfish-0123456789ab-vda.qcow2', '/images/base', stamp(6)),
    )
    own = {'/images/base', '/images/own', '/images/top'}

    _, loose = files.dependents('', own, {'/images/base'})

    assert [path for path, _ in loose] == [
        '/copy/hawkfish-0123456789ab-vda.qcow2',
        '/images/clone',
    ]


@pytest.mark.parametrize('name', ['deleted', 'uefi-off', 'internal'])
def test_no_dependents(name):
    """A system whose files nobody else has, has no dependents."""
    assert look(recorded_host(), Case(name)) == ([], [])


def test_freshness():
    """An older record will not do for who asked later, or for more."""
    files, paths = recorded_host(), frozenset([f'{IMAGES}/new'])
    cached, listed, full = contract.Freshness

    assert files.will_do(paths, cached, 109.0)
    assert not files.will_do(paths, cached, 111.0)
    assert files.will_do(paths, listed, 99.0)
    assert not files.will_do(paths, listed, 101.0)
    assert files.will_do(paths, full, 49.0)
    assert not files.will_do(paths, full, 51.0)
    assert not files.will_do(paths | {'/elsewhere/new'}, cached, 0.0)


def test_a_chain_with_a_cycle_ends():
    """Files that are backed by each other do not hang a look."""
    assert files_of(('/a', '/b'), ('/b', '/a')).chain('/a') == {'/a', '/b'}


@pytest.mark.parametrize('path', ['/images/base', '/link//base'])
def test_what_stands_on_a_file(path):
    """By whatever path the file is asked for, and named above it."""
    files = files_of(
        ('/images/base', None, stamp(1)),
        ('/link/base', None, stamp(1)),
        ('/images/a', '/images/x/../base', stamp(2)),
        ('/images/b', '/link/base', stamp(3)),
        ('/images/c', '/images/a', stamp(4)),
    )

    assert files.above(path) == ['/images/a', '/images/b']
    assert files.above('/images/c') == []


def test_what_a_file_stood_on_before():
    """What was looked at last counts, not what a pool knows of before."""
    volumes = {
        ('pool', 'a'): backing.Backed('/images/a', '/images/old', None),
        ('/images', 'a'): backing.Backed('/images/a', '/images/new', None),
    }
    files = host_files.HostFiles(frozenset(), volumes, {}, 0.0, 0.0)

    assert files.above('/images/old') == []
    assert files.above('/images/new') == ['/images/a']


@pytest.mark.parametrize(
    'spelling',
    ['/images//base', '//images/base', '/images/./base', '/images/x/../base'],
)
def test_a_spelling(spelling):
    """A clone that spells the path of its base in another way stands on it."""
    files = files_of(('/clones/c', spelling), ('/images/base', None))

    assert files.chain('/clones/c') == {'/clones/c', '/images/base'}


@pytest.mark.parametrize(
    'path', ['/link/base', '/images/another', '/images/hard-link']
)
def test_another_path(path):
    """A link to a file, or to its folder, is that file."""
    files = files_of(
        ('/clones/c', path, stamp(1, backing=path)),
        (path, None, stamp(2)),
        ('/images/base', None, stamp(2)),
    )

    of = files.identities.of
    assert of(path) == of('/images/base')
    assert of('/images/base') in files.chain('/clones/c')


def test_files_that_were_made_at_once():
    """A clone stands on both; but no system is said to write to the other."""
    fresh = stamp(1, allocation='200704')
    files = files_of(
        ('/images/a', None, fresh),
        ('/images/b', None, fresh),
        ('/other/a', None, fresh),
    )

    of, certain = files.identities.of, files.certain.identities.of
    assert of('/images/a') == of('/images/b') == of('/other/a')
    assert (
        len({certain(f'/{p}') for p in ('images/a', 'images/b', 'other/a')})
        == 3
    )
    assert certain('/images//a') == certain('/images/a')


def test_a_link_to_a_folder_that_was_written_to():
    """It is certain by any file that somebody has written to."""
    files = files_of(
        ('/images/a', None, stamp(1)),
        ('/images/b', None, stamp(2, allocation='0')),
        ('/link/a', None, stamp(1)),
        ('/link/b', None, stamp(2, allocation='0')),
    )

    certain = files.certain.identities.of
    assert certain('/images/b') == certain('/link/b')


def test_a_file_that_is_written_to_meanwhile():
    """Its folder tells, where another file of it stays as it was."""
    files = files_of(
        ('/images/base', None, stamp(1)),
        ('/images/disk', '/images/base', stamp(2)),
        ('/link/base', None, stamp(1)),
        ('/link/disk', '/images/base', stamp(3)),
    )

    of = files.identities.of
    assert of('/link/disk') == of('/images/disk')
    assert of('/link/new') == of('/images/new')
    assert of('/images/disk') != of('/images/base')


def test_other_files_of_the_same_names():
    """A folder with files of the same names is another one."""
    files = files_of(('/a/disk', None, stamp(1)), ('/b/disk', None, stamp(2)))

    assert files.identities.of('/a/disk') != files.identities.of('/b/disk')


def test_a_name_of_ours_is_given_once():
    """The folder need not be known."""
    name = 'hawkfish-0123456789ab-vda.qcow2'
    files = files_of((f'/images/{name}', None))

    assert files.identities.of(f'/link/{name}') == f'/images/{name}'


def test_who_writes_to_a_file():
    """By whatever path it is named."""
    written = frozenset(['/images//base'])
    files = host_files.HostFiles(
        frozenset(),
        {},
        {OTHER: definitions.Definition('other', frozenset(), written)},
        0.0,
        0.0,
    )

    assert files.writers('/images/base') == [OTHER]
    assert files.writers('/images/other') == []


@pytest.mark.parametrize(
    'base, overlays, expected',
    [(10, [20, 30], None), (25, [20, 30], None), (40, [20, 30], 40.5)],
)
def test_a_file_that_was_written_to_since(base, overlays, expected):
    """Later than all that stands on it; one that is used is younger."""
    files = files_of(
        ('/images/base', None, stamp(base)),
        *(
            (f'/images/{number}', '/images/base', stamp(number))
            for number in overlays
        ),
    )

    assert files.written_since('/images/base') == expected


def test_a_file_on_which_nothing_stands():
    """Nobody can tell."""
    files = files_of(('/images/base', None, stamp(40)))

    assert files.written_since('/images/base') is None


# Images of other directories ------------------------------------------------

CLONE, BASE = '/srv/clones/c.qcow2', f'{IMAGES}/base.qcow2'


def host_with(*images):
    """A host whose *images*, by folder or pool, stand on what is given."""
    found = {
        (where, path.rpartition('/')[2]): backing.Backed(path, below)
        for where, path, below in images
    }
    return host_files.HostFiles(frozenset(), found, {}, 0.0, 0.0)


def test_images_of_other_directories():
    """Also those in a pool, which may be stopped; none beside its base."""
    files = host_with(
        (IMAGES, BASE, None),
        (IMAGES, f'{IMAGES}/top.qcow2', BASE),
        ('/srv/clones', CLONE, BASE),
        ('clones', '/srv/pool/d.qcow2', BASE),
    )

    assert files.far_found == {CLONE: BASE, '/srv/pool/d.qcow2': BASE}


def test_a_pool_that_is_not_refreshed_tells_less_than_a_directory():
    files = host_with(
        ('/srv/clones', CLONE, BASE),
        ('clones', CLONE, f'{IMAGES}/former.qcow2'),
    )

    assert files.far_found == {CLONE: BASE}


def test_what_was_not_looked_at_was_not_found():
    """It is remembered already, and nobody knows if it is there."""
    files = dataclasses.replace(
        host_with(('/srv/clones', CLONE, BASE)), far=[FarImage(CLONE, BASE)]
    )

    assert files.far_found == {}


DAY = 86_400
FORMER = f'{IMAGES}/former.qcow2'
FOLDER = CLONE.rpartition('/')[0]


@pytest.mark.parametrize(
    'looks, kept',
    [
        # As it was; on another file.
        ([(0, {CLONE: BASE}, FOLDER)], (BASE, 0)),
        ([(0, {CLONE: FORMER}, FOLDER)], (FORMER, 0)),
        # Not to be found, and again, and for too long.
        ([(5, {}, FOLDER)], (BASE, 1005)),
        ([(5, {}, FOLDER), (90, {}, FOLDER)], (BASE, 1005)),
        ([(5, {}, FOLDER), (96, {}, FOLDER)], None),
        # After years without a look, too.
        ([(1000, {}, FOLDER)], (BASE, 2000)),
        # Found again.
        ([(5, {}, FOLDER), (95, {CLONE: BASE}, FOLDER)], (BASE, 0)),
        # Looked for elsewhere.
        ([(5, {}, FOLDER), (200, {}, IMAGES)], (BASE, 1005)),
    ],
)
def test_what_is_remembered(monkeypatch, looks, kept):
    """An image with what it stands on, until it is not found for long."""
    known = far_images.FarImages()
    known.note({CLONE: BASE}, {FOLDER}, [])
    for day, found, folder in looks:
        monkeypatch.setattr('time.time', lambda day=day: (1000 + day) * DAY)
        known.note(found, {folder}, known.all())

    expected = [(kept[0], kept[1] * DAY)] if kept else []
    assert [(image.base, image.missed) for image in known.all()] == expected
