# SPDX-License-Identifier: Apache-2.0
"""Which overlays a revert of recorded systems would remove."""

import pytest

from hawkfish_plugin.drivers.libvirt import revert_disks, snapshot_xml, xml
from tests.unit.libvirt import hosted
from tests.unit.libvirt.recordings import CASES, Case


def disks_now(case):
    return {disk.target: disk.path for disk in xml.disks(case.domain)}


def removed(case, noted):
    captured = {path for s in case.seen for path in s.paths}
    return revert_disks.to_remove(noted, disks_now(case), captured)


@pytest.mark.parametrize('name', CASES)
def test_nothing_that_a_snapshot_needs(name):
    """No file of a snapshot is removed, whatever libvirt has noted."""
    case = Case(name)
    captured = {path for s in case.seen for path in s.paths}
    for path in captured:
        going = removed(case, dict.fromkeys(disks_now(case), path))

        assert not captured & set(filter(None, going.values()))


def test_what_the_last_revert_made_goes():
    """The overlay that the last revert put over a snapshot goes."""
    case = Case('reverted')
    root = case.root('new')
    noted = snapshot_xml.revert_disks(root)

    assert removed(case, noted) == {'vda': disks_now(case)['vda']}
    assert removed(case, noted)['vda'].rpartition('.')[2].isdigit()


def test_what_the_newest_snapshot_began_goes():
    """Without a revert since, the overlays of the current one go."""
    case = Case('branches')
    now = disks_now(case)

    found = removed(case, snapshot_xml.revert_disks(case.root('top')))

    assert found == {'vda': now['vda'], 'sda': now['sda']}


def test_a_disk_of_another_branch_stays():
    """What libvirt has noted of another branch is not what goes."""
    case = Case('branches')
    left = snapshot_xml.revert_disks(case.root('left'))

    found = removed(case, left)

    assert not set(found.values()) & set(left.values())


@pytest.mark.parametrize(
    'chain, expected',
    [
        (['/images/top', '/images/base'], True),
        (['/images/base'], True),
        (['/link/to/base', None], True),
        (['/images/top', '/images/other'], False),
        ([None], False),
    ],
)
def test_a_disk_in_the_place_of_another(chain, expected):
    """It is told by what is below it, by whatever path."""
    assert revert_disks.is_based_on(chain, {'/images/base'}) is expected


def test_a_file_of_somebody_else_stays():
    """A disk in a file with a name of nobody's snapshot is left alone."""
    found = revert_disks.to_remove(
        {'vda': '/noted'}, {'vda': '/images/other.qcow2', 'vdb': '/b'}, []
    )

    assert found == {'vda': None}


def test_revert_disks_are_written_as_read():
    """What is noted for the next revert is read as it was noted."""
    root = Case('reverted').root('old')
    wanted = {'vda': '/images/o.1795831493', 'vdb': None}

    snapshot_xml.set_revert_disks(root, wanted)
    snapshot_xml.set_revert_disks(root, wanted)

    assert snapshot_xml.revert_disks(root) == wanted
    assert len(root.findall('revertDisks')) == 1


def test_what_a_revert_has_no_use_for():
    """All overlays of ours that no snapshot has, wherever in the chain."""
    base, left, top = (
        '/images/base.qcow2',
        '/images/hawkfish-000000000000-vda.qcow2',
        '/images/hawkfish-111111111111-vda.qcow2',
    )
    with hosted.libvirtd() as host:
        chain = (
            f"<backingStore><source file='{left}'/><backingStore>"
            f"<source file='{base}'/></backingStore></backingStore>"
        )
        disk = hosted.disk(top).replace('</disk>', f'{chain}</disk>')
        node = host.domain('node', disk)
        node.handle.capture('s', base, left)

        assert revert_disks.unneeded(node) == [top, left]
        assert revert_disks.unneeded(node, ['vdb']) == []

        node.handle.capture('t', left, top)
        assert revert_disks.unneeded(node) == [top]


def test_what_a_captured_file_stands_on():
    """It is needed, whoever has made it."""
    theirs, captured, top = (
        f'/images/hawkfish-{digit * 12}-vda.qcow2' for digit in '012'
    )
    with hosted.libvirtd() as host:
        chain = (
            f"<backingStore><source file='{captured}'/><backingStore>"
            f"<source file='{theirs}'/></backingStore></backingStore>"
        )
        disk = hosted.disk(top).replace('</disk>', f'{chain}</disk>')
        node = host.domain('node', disk)
        node.handle.capture('s', captured, top)

        assert revert_disks.unneeded(node) == [top]


@pytest.mark.parametrize('parent', ['', '<parent><name>first</name></parent>'])
def test_a_disk_that_has_come_back(parent):
    """
    What it holds was not written since the current snapshot.

    That is of another disk, and an old definition has this one; whether or not
    the current snapshot grew from the one that this disk grew from.
    """
    base, back, other = (
        f'/images/{name}.qcow2'
        for name in ('node', 'hawkfish-' + 12 * '1' + '-vda', 'other')
    )
    with hosted.libvirtd() as host:
        host.file(base)
        node = host.domain('node', host.file(back, base))
        node.handle.capture('first', base, back)
        assert revert_disks.others(node, ['vda']) == {}

        host.domain('node', host.file(other))
        node.handle.capture('second', other, None)
        second = node.handle.snapshots['second']
        node.handle.snapshots['second'] = second.replace(
            '<state>', f'{parent}<state>'
        )
        host.domain('node', back)

        assert revert_disks.others(node, ['vda']) == {'vda': back}


def test_what_a_system_that_is_off_stands_on():
    """Its definition names no more than the uppermost file."""
    base, left, top = (
        f'/images/{name}-vda.qcow2'
        for name in ('node', 'hawkfish-' + 12 * '1', 'hawkfish-' + 12 * '2')
    )
    with hosted.libvirtd() as host:
        host.file(base)
        host.file(left, base)
        node = host.domain('node', host.file(top, left))
        node.handle.capture('s', base, left)

        assert revert_disks.unneeded(node) == [top, left]


@pytest.mark.parametrize('active', [True, False])
def test_what_a_snapshot_has_captured_as_a_volume(active):
    """It is known by its path, which the definition may have."""
    held = '/images/hawkfish-0123456789ab-vda.qcow2'
    top = '/images/node.1700000000'
    below = f"<backingStore type='file'><source file='{held}'/></backingStore>"
    with hosted.libvirtd() as host:
        host.pool('images', '/images', active)
        host.file(top, host.file(held))
        disk = hosted.disk(top).replace('</disk>', f'{below}</disk>')
        node = host.domain('node', disk)
        node.handle.capture('v', held, top)
        text = node.handle.snapshots['v']
        volume = hosted.volume_disk('images', held.rpartition('/')[2])
        node.handle.snapshots['v'] = text.replace(hosted.disk(held), volume)

        assert revert_disks.unneeded(node) == [top]
