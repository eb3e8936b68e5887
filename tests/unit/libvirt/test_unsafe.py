# SPDX-License-Identifier: Apache-2.0
"""Which systems are unsafe, and why."""

import dataclasses

import pytest

from hawkfish_plugin.drivers.libvirt import (
    backing,
    definitions,
    host_files,
    unsafe,
)

OWN, OTHER = 'own', 'other'
FILES = {
    '/images/disk': None,
    '/images/overlay': '/images/disk',
    '/images/golden': None,
    '/images/above': '/images/golden',
}


def seen(now, later=None, held=('/images/disk',), others=()):
    """A system on *now*; *others* are what another one writes to."""
    files = host_files.HostFiles(
        frozenset(),
        {
            ('pool', path): backing.Backed(path, below)
            for path, below in FILES.items()
        },
        {
            OTHER: definitions.Definition(
                'other',
                frozenset(others),
                frozenset(('vda', path) for path in others),
            )
        },
        0.0,
        0.0,
    )
    chains = {file: 's' for file in files.chains(held)}
    later = now if later is None else later
    return unsafe.Seen(OWN, {'vda': now}, {'vda': later}, chains, files)


def found(*args, **kwargs):
    broken = unsafe.broken(seen(*args, **kwargs))
    return [type(violation).__name__ for violation in broken]


def test_a_safe_system():
    assert found('/images/overlay') == []
    assert found('/images/overlay', '/images//overlay') == []
    assert found('/images/disk', held=()) == []


@pytest.mark.parametrize('path', ['/images/disk', '/images/x/../disk'])
def test_on_what_a_snapshot_holds(path):
    assert found(path) == ['DefinitionOnSnapshot']


def test_below_what_a_snapshot_holds():
    held = ['/images/above']
    assert found('/images/golden', held=held) == ['DefinitionOnSnapshot']


def test_the_next_start_alone():
    assert found('/images/overlay', '/images/disk') == [
        'DefinitionOnSnapshot',
        'DefinitionsDiffer',
    ]


def test_two_systems():
    """On the present disk, and on what a snapshot holds."""
    for path in ('/images/overlay', '/images/disk'):
        assert found('/images/overlay', others=[path]) == ['DiskOfTwoSystems']
    assert found('/images/overlay', others=['/images/above']) == []


def test_below_what_is_no_snapshot():
    """Once, and only where no snapshot holds it."""
    above = {'/images/disk': ['/images/overlay', '/images/clone']}
    for held, key in (
        ((), 'DiskIsBackingFile'),
        (('/images/disk',), 'DefinitionOnSnapshot'),
    ):
        one = dataclasses.replace(seen('/images/disk', held=held), above=above)
        assert [type(v).__name__ for v in unsafe.broken(one)] == [key]
