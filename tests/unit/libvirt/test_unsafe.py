# SPDX-License-Identifier: Apache-2.0
"""Which systems are unsafe, and why."""

import dataclasses

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    backing,
    definitions,
    host_files,
    ledger,
    unsafe,
)
from tests.unit.libvirt import hosted

OWN, OTHER = 'own', 'other'
LISTED = contract.Freshness.LISTED
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
                frozenset(others),
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


# On a host -------------------------------------------------------------------

BASE, OVERLAY = '/images/base', '/images/hawkfish-0123456789ab-vda.qcow2'
SHARED = hosted.disk(BASE).replace('<target', '<shareable/><target')


@pytest.fixture
def host():
    with hosted.libvirtd() as made:
        yield made


def captured(host):
    """A system whose snapshot holds BASE, and that is on OVERLAY."""
    host.file(BASE)
    node = host.domain('node', host.file(OVERLAY, BASE))
    node.handle.capture('s', BASE, OVERLAY)
    return node


def violations(domain):
    found = unsafe.violations(domain, ledger.Ledger(), LISTED)
    return [type(violation).__name__ for violation in found]


def test_who_shares_a_disk_that_a_snapshot_holds(host):
    """That others write to it on purpose is no purpose of the snapshot."""
    captured(host)
    other = host.domain('other', SHARED)

    assert violations(other) == ['DefinitionOnSnapshot']
    with pytest.raises(exceptions.DefinitionOnSnapshot):
        unsafe.check_start(other, ledger.Ledger(), LISTED)


def test_two_that_share_a_disk(host):
    """Both have to know."""
    host.file(BASE)
    one = host.domain('one', SHARED)
    two = host.domain('two', SHARED)
    assert violations(one) == violations(two) == []

    host.domain('two', BASE)
    assert violations(one) == ['DiskOfTwoSystems']


def test_a_start_on_a_branch_that_another_system_has_left(host):
    """No definition names what its snapshots hold there."""
    node, left = captured(host), '/images/hawkfish-aaaaaaaaaaaa-vda.qcow2'
    host.file(left, BASE)
    node.handle.capture('t', left, '/images/gone')
    other = host.domain('other', left)

    with pytest.raises(exceptions.DefinitionOnSnapshot) as caught:
        unsafe.check_start(other, ledger.Ledger(), LISTED)
    assert caught.value.args == ('vda', left, 't of node')


def test_a_start_with_memory_that_was_saved(host):
    """It begins with the disks that it had then."""
    node = captured(host)
    unsafe.check_start(node, ledger.Ledger(), LISTED)
    saved = f'<domain><devices>{hosted.disk(BASE)}</devices></domain>'
    node.handle.saved = saved

    with pytest.raises(exceptions.DefinitionOnSnapshot):
        unsafe.check_start(node, ledger.Ledger(), LISTED)


def test_a_base_that_was_written_to_is_not_hidden(host):
    """A repair would put the guest's old blocks over its new ones."""
    node = captured(host)
    node.handle.revert_disks('s', OVERLAY)
    host.domain('node', BASE)
    (planned,) = unsafe.plan(node, ledger.Ledger())
    assert planned.after == OVERLAY

    for _ in range(2):
        host.file(BASE)
    with pytest.raises(exceptions.DiskWrittenSince):
        unsafe.plan(node, ledger.Ledger())


def test_a_system_that_was_undefined_since_the_last_look():
    """A list goes by what was seen some seconds ago."""
    cached = contract.Freshness.CACHED
    with hosted.libvirtd() as host:
        book, disk = ledger.Ledger(), host.file('/images/disk')
        node, second = (host.domain(n, disk) for n in ('node', 'second'))
        unsafe.violations(node, book, cached)
        host.domains.remove(second.handle)

        assert [type(found) for found in unsafe.violations(node, book, cached)]
