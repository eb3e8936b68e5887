# SPDX-License-Identifier: Apache-2.0
"""What the objects of the SDK are like: collections, times, names."""

import datetime

import pytest

from hawkfish_plugin import client

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def service(emulator):
    return client.HawkFish(emulator.url)


@pytest.fixture
def snapshots(emulator, service):
    return service.snapshots(emulator.system_name)


def test_a_collection_is_one(snapshots):
    """It is iterated, counted and asked by name."""
    assert len(snapshots) == 0
    for name in ('a', 'b %2F é'):
        snapshots.create(name).wait(20)

    assert [one.name for one in snapshots] == ['a', 'b %2F é']
    assert len(snapshots) == 2
    assert 'b %2F é' in snapshots
    assert 'c' not in snapshots
    assert snapshots['b %2F é'].parent == 'a'
    with pytest.raises(KeyError):
        snapshots['c']


def test_every_object_says_its_name(emulator, service, snapshots):
    """A repr tells what it is of."""
    handle = snapshots.create('a')
    made = handle.wait(20)
    group = service.create_group(['fake'], 'lab')
    of_lab = group.snapshots.create('b').wait(20)
    subscription = service.subscribe('http://127.0.0.1:9/')

    assert repr(service) == f'<HawkFish {emulator.url}>'
    secret = client.HawkFish('http://me:letmein@nowhere:8000')
    assert repr(secret) == '<HawkFish http://nowhere:8000>'
    assert repr(snapshots).endswith('/fake/Oem/HawkFish/Snapshots>')
    assert repr(handle) == f'<TaskHandle {handle.identity}: ended>'
    assert repr(made) == "<Snapshot 'a': Ready>"
    assert repr(group) == "<Group 'lab'>"
    assert repr(of_lab) == "<GroupSnapshot 'b': Ready>"
    assert repr(service.systems()[0]) == "<SystemSummary 'fake': Off>"
    assert repr(service.policy('fake')) == '<SnapshotPolicy of fake>'
    assert repr(service.policy('fake').preview('c')) == "<Preview of 'c'>"
    assert repr(subscription) == (
        f'<Subscription {subscription.identity}: http://127.0.0.1:9/>'
    )
    event = next(service.events('1'))
    assert repr(event) == f'<Event {event.identity}: {event.message_id}>'


def test_times_in_and_out(snapshots, service):
    """A time is a datetime with its zone; a timedelta counts from now."""
    zone = datetime.timezone(2 * HOUR)
    moment = datetime.datetime(2999, 1, 31, 12, tzinfo=zone)
    begin = datetime.datetime.now(datetime.UTC)

    made = snapshots.create('a', expires_time=moment).wait(20)

    assert made.expires_time == moment
    assert abs(made.created_time - begin) < HOUR
    changed = made.update(expires_time=HOUR)
    assert abs(changed.expires_time - begin - HOUR) < HOUR / 2
    assert changed.update(expires_time=None).expires_time is None
    task = service.tasks()[-1]
    assert abs(task.end_time - begin) < HOUR
    with pytest.raises(ValueError, match='no time zone'):
        snapshots.create('b', expires_time=datetime.datetime(2999, 1, 1))


def test_spans_in_and_out(service):
    """A span is a timedelta; a number is seconds."""
    policy = service.policy('fake')

    assert policy.max_age == datetime.timedelta(0)
    policy = policy.update(max_age=7 * 24 * HOUR)
    assert policy.max_age == datetime.timedelta(days=7)
    assert policy.update(max_age=60).max_age == HOUR / 60


def test_a_wait_takes_a_timedelta(emulator, snapshots):
    """For how long may be said as any span."""
    with emulator.slow():
        with pytest.raises(client.TaskTimeout, match=r'0\.2 seconds'):
            snapshots.create('a').wait(datetime.timedelta(seconds=0.2))


def test_an_unknown_change_is_an_error(snapshots, service):
    """A keyword of Redfish's, or a misspelt one, is not ignored."""
    made = snapshots.create('a').wait(20)

    with pytest.raises(TypeError, match="'Locked'"):
        made.update(Locked=True)
    with pytest.raises(TypeError, match="'MaxBytes'"):
        service.policy('fake').update(MaxBytes=1)


def test_a_system_leads_to_its_snapshots(service, snapshots):
    """Whoever lists the systems needs no more names."""
    snapshots.create('a').wait(20)

    system = next(one for one in service.systems() if one.name == 'fake')

    assert [one.name for one in system.snapshots] == ['a']
    assert system.policy.snapshot_count == 1


def test_what_is_gone_again(emulator, snapshots):
    """A create that succeeded, and whose snapshot was deleted since."""
    handle = snapshots.create('a')
    client.HawkFish(emulator.url).task(handle.identity).wait(20)
    snapshots['a'].delete().wait(20)

    with pytest.raises(client.CreatedGone, match=handle.identity):
        handle.wait(20)
