# SPDX-License-Identifier: Apache-2.0
"""What a delete merges, by whatever paths the files are named."""

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import layers, ledger
from tests.unit.libvirt import hosted

BASE = '/images/base.qcow2'
OVERLAY = '/images/hawkfish-0123456789ab-vda.qcow2'
OTHER = '/images/hawkfish-ba9876543210-vda.qcow2'


@pytest.fixture
def host():
    with hosted.libvirtd() as made:
        made.file(BASE)
        made.file(OVERLAY, BASE)
        made.link('/link', '/images')
        yield made


def plan(node, name='s'):
    return layers.plan(node, name, {}, ledger.Ledger())


@pytest.mark.parametrize(
    'held', [BASE, '/link/base.qcow2', '//images/base.qcow2']
)
def test_what_stands_on_the_base(host, held):
    """It is merged by the path that QEMU has it by."""
    node = host.domain('node', OVERLAY)
    node.handle.capture('s', held, OVERLAY)

    planned = plan(node)

    assert planned.merges == [layers.Merge('vda', BASE, OVERLAY, None)]
    assert planned.unneeded == [OVERLAY]


@pytest.mark.parametrize(
    'held', [BASE, '/link/base.qcow2', '//images/base.qcow2']
)
def test_what_another_snapshot_holds(host, held):
    """Nothing is merged into a file that another one holds by another path."""
    host.file(OTHER, held)
    node = host.domain('node', OVERLAY)
    node.handle.capture('s', BASE, OVERLAY)
    node.handle.capture('t', held, OTHER)

    with pytest.raises(exceptions.SnapshotReferenced):
        plan(node)


@pytest.mark.parametrize('named', [True, False])
def test_an_empty_clone(host, named):
    """
    It reads the base, so nothing is merged into that.

    In a purge nobody but the plan of each delete looks at it.
    """
    node = host.domain('node', OVERLAY)
    node.handle.capture('s', BASE, OVERLAY)
    host.pool('images', '/images')
    clone = host.file('/images/k.qcow2', BASE, data=hosted.qcow2(0, 0))
    if named:
        host.domain('k', clone)

    with pytest.raises(exceptions.SnapshotCloned):
        plan(node)


def test_a_system_that_is_started_meanwhile(host):
    """Its chain is that of the definition that was read, when it was off."""
    node = host.domain('node', OVERLAY)
    node.handle.capture('s', BASE, OVERLAY)
    node.handle.isActive = lambda: 1

    planned = plan(node)

    assert planned.merges == [layers.Merge('vda', BASE, OVERLAY, None)]


def test_an_empty_overlay_of_ours(host):
    """Nobody reads what an interrupted operation has left behind."""
    node = host.domain('node', OVERLAY)
    node.handle.capture('s', BASE, OVERLAY)
    host.pool('images', '/images')
    host.file(OTHER, BASE, data=hosted.qcow2(0, 0))

    assert plan(node).merges
