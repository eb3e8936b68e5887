# SPDX-License-Identifier: Apache-2.0
"""What stays of what schedules have made."""

import pytest
import requests

from hawkfish_plugin.retention.classes import Classes
from tests.unit.conftest import NODES
from tests.unit.schedules.clock import BEGIN, DAY, HOUR, stamp

# Retention ----------------------------------------------------------------


def made_by(service, name):
    return [n for n in service.names() if n.startswith(f'{name}-')]


def test_classes_touch_what_their_schedule_has_made(service, policy):
    """Neither what people made, nor what another schedule did."""
    emulator = service.emulator
    requests.patch(policy, json={'MaxSnapshots': 0})
    emulator.created(Name='by hand')
    service.create(keep={'KeepLast': 1})
    service.create('other')
    for day in range(3):
        service.at(day * DAY)

    assert made_by(service, 'nightly') == [f'nightly-{stamp(2 * DAY)}']
    assert len(made_by(service, 'other')) == 3
    assert 'by hand' in service.names()


def test_what_is_locked_stays(service):
    emulator = service.emulator
    service.create(keep={'KeepLast': 1})
    service.at(0)
    (first,) = service.names()
    requests.patch(f'{emulator.snapshots_url}/{first}', json={'Locked': True})
    service.at(DAY)
    service.at(2 * DAY)

    assert [*service.names()] == [first, f'nightly-{stamp(2 * DAY)}']


def test_the_dry_run_says_what_goes_and_why_the_others_stay(service, policy):
    emulator = service.emulator
    service.create()
    for day in range(3):
        service.at(day * DAY)
    requests.patch(
        f'{service.url}/nightly',
        json={'Oem': {'HawkFish': {'Retention': {'KeepDaily': 2}}}},
    )
    preview = requests.post(
        f'{policy}/Actions/HawkFishSnapshotPolicy.PreviewCreate', json={}
    ).json()

    assert [(p['Name'], p['Reason']) for p in preview['Pruned']] == [
        (f'nightly-{stamp(0)}', 'Schedule')
    ]
    kept = {one['Name']: one['Reasons'] for one in preview['Kept']}
    assert kept[f'nightly-{stamp(DAY)}'] == ['KeepDaily']
    assert len(emulator.driver.names(emulator.system)) == 3


def test_what_a_deleted_schedule_has_made_stays(service):
    """And a later one of its name does not take it for its own."""
    service.create(keep={'KeepLast': 1})
    service.at(0)
    requests.delete(f'{service.url}/nightly')
    service.create(keep={'KeepLast': 1})
    service.at(DAY)

    assert len(service.names()) == 2


@pytest.mark.parametrize('classes', ['x', '[]', '{"last": "x"}'])
def test_classes_that_cannot_be_read_delete_nothing(service, classes):
    service.create(keep={'KeepLast': 1})
    service.at(0)
    with service.emulator.database.transaction() as connection:
        connection.execute('UPDATE schedules SET classes = ?', (classes,))
    service.at(DAY)

    assert len(service.names()) == 2


@pytest.fixture
def pair(service):
    names = ('node-1', 'node-2')
    catalogue = service.emulator.services.catalogue
    service.emulator.services.group_table.create(
        'pair', [catalogue.system(name) for name in names]
    )
    return (
        '/redfish/v1/AggregationService/Aggregates/pair/Oem/HawkFish/Snapshots'
    )


def both(service):
    return [[*service.names(NODES[n])] for n in ('node-1', 'node-2')]


def test_group_snapshots_go_whole(service, pair):
    service.create(uri=pair, keep={'KeepLast': 2})
    for day in range(4):
        service.at(day * DAY)

    expected = [f'nightly-{stamp(day * DAY)}' for day in (2, 3)]
    assert both(service) == [expected, expected]


def test_a_group_snapshot_that_one_system_needs_stays_in_all(service, pair):
    """One has lost a newer one; what is its newest of the week stays."""
    service.create(uri=pair, RecurrenceInterval='PT1H')
    service.at(0)
    service.at(HOUR)
    requests.delete(
        f'{service.emulator.url}{service.snapshots(NODES["node-2"])}'
        f'/nightly-{stamp(HOUR)}'
    )
    service.emulator.wait_idle()
    assert [len(names) for names in both(service)] == [2, 1]
    service.emulator.services.schedules.change(
        'nightly', lambda _: None, BEGIN, classes=Classes(daily=7)
    )
    service.at(DAY)

    assert both(service) == [
        [f'nightly-{stamp(s)}' for s in (0, HOUR, DAY)],
        [f'nightly-{stamp(s)}' for s in (0, DAY)],
    ]


# A year -------------------------------------------------------------------


def test_a_year(service, policy):
    """
    Every other night, with a service that is down now and then.

    What is kept is what the rules say, and what was made by hand.
    """
    emulator = service.emulator
    requests.patch(policy, json={'MaxSnapshots': 0})
    emulator.created(Name='by hand')
    keep = {'KeepLast': 3, 'KeepDaily': 5, 'KeepWeekly': 4, 'KeepMonthly': 6}
    service.create(keep=keep, RecurrenceInterval='P2D')
    classes = Classes(3, 5, 4, 6)
    expected = []
    for day in range(0, 365, 2):
        # Down for some days of each month, and late afterwards.
        if day % 30 in (6, 8):
            continue
        seconds = day * DAY + (5 * HOUR if day % 30 == 10 else 0)
        service.at(seconds)
        expected.append(BEGIN + seconds)
        marks = classes.kept(expected)
        expected = [m for m, r in zip(expected, marks, strict=True) if r]

    assert [*service.names()] == [
        'by hand',
        *(f'nightly-{stamp(moment - BEGIN)}' for moment in expected),
    ]
    assert len(expected) == 18
    assert service.count() == 183 - 2 * 12
