# SPDX-License-Identifier: Apache-2.0
"""What a revert removes is nobody's, and what it writes to no snapshot's."""

import dataclasses

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import ledger, parsed, revert_plan, xml
from tests.unit.libvirt import hosted

BASE = '/images/base.qcow2'
LEFT = '/images/hawkfish-000000000000-vda.qcow2'
TOP = '/images/hawkfish-111111111111-vda.qcow2'


@pytest.fixture
def host():
    with hosted.libvirtd() as made:
        made.file(BASE)
        made.file(LEFT, BASE)
        made.file(TOP, LEFT)
        yield made


def test_what_stands_on_an_overlay_below(host):
    """It is asked about all that goes, as soon as the list is there."""
    node = host.domain('node', TOP)
    node.handle.capture('s', BASE, LEFT)
    planned = revert_plan.Plan(
        node.definition(), parsed.parse(xml.parse(node.handle.snapshots['s']))
    )
    planned = dataclasses.replace(planned, discarded=[TOP, LEFT])
    check = revert_plan.check_removed
    check(node, planned, ledger.Ledger(), contract.Freshness.FULL)
    host.domain('clone', host.file('/clones/clone.qcow2', LEFT))

    with pytest.raises(exceptions.SystemCloned):
        check(node, planned, ledger.Ledger(), contract.Freshness.FULL)


@pytest.mark.parametrize('path', [BASE, '/link/base.qcow2'])
def test_a_disk_that_another_snapshot_holds(host, path):
    """By whatever path it gets an overlay, too."""
    host.link('/link', '/images')
    node = host.domain('node')
    node.handle.capture('s', BASE, LEFT)
    one = parsed.parse(
        xml.parse(node.handle.snapshots['s'].replace(BASE, path))
    )
    left_out = dataclasses.replace(one, external={})

    found = revert_plan._bases(
        node, left_out, node.definition(), (), ledger.Ledger()
    )

    assert {target: base.path for target, base in found.items()} == {
        'vda': path
    }


SLICES = "<slices><slice type='storage' offset='512' size='1024'/></slices>"


def test_a_part_of_a_file(host):
    """
    A new overlay would read the file from its beginning, so there is none.

    Only virsh makes a snapshot of such a disk.
    """
    node = host.domain('node')
    node.handle.capture('s', BASE, LEFT)
    text = node.handle.snapshots['s']
    source = f"<source file='{BASE}'"
    one = parsed.parse(
        xml.parse(text.replace(f'{source}/>', f'{source}>{SLICES}</source>'))
    )

    with pytest.raises(exceptions.DiskRemapped) as caught:
        revert_plan._bases(node, one, node.definition(), (), ledger.Ledger())
    assert caught.value.args == ('vda', 'slices')
