# SPDX-License-Identifier: Apache-2.0
"""The released sushy client, unpatched, against a real system."""

import time

import pytest
import sushy

from tests.waiting import patience

pytestmark = pytest.mark.once


@pytest.fixture
def snapshots(make_system, emulator):
    system = make_system().boot()
    root = sushy.Sushy(emulator.url, verify=False)
    found = root.get_system(f'/redfish/v1/Systems/{system.uuid}')
    return system, found.get_oem_extension('HawkFish').snapshots


def test_sushy_waits_for_the_real_end(snapshots):
    """Create, revert and delete end for sushy when they have ended."""
    system, collection = snapshots
    system.write('one')
    collection.create(name='s').wait(60)
    assert system.domain.snapshotListNames() == ['s']
    system.write('two')

    snapshot = collection.get('s')
    assert snapshot.snapshot_state == 'Ready'
    snapshot.revert().wait(60)
    assert system.read() == {'one'}

    collection.get('s').delete().wait(60)
    assert system.domain.snapshotListNames() == []


def test_sushy_hears_of_a_failure(snapshots, emulator):
    """A task that fails raises the server's error within five seconds."""
    system, collection = snapshots
    collection.create(name='base').wait(60)
    emulator.order('sleep=1.5', 'create', 'prepare')
    collection.create(name='slow')
    doomed = collection.get('base').delete()
    # The delete waits for the create; virsh is faster.
    system.domain.snapshotLookupByName('base').delete()
    begin = time.monotonic()

    with pytest.raises(sushy.exceptions.HTTPError) as caught:
        doomed.wait(60)

    assert time.monotonic() - begin < patience(5)
    assert "'base' was not found" in str(caught.value)
