# SPDX-License-Identifier: Apache-2.0
"""Locks, expiry and descriptions of snapshots, over HTTP."""

import concurrent.futures
import datetime

import pytest
import requests

from hawkfish_plugin import exceptions, locks
from hawkfish_plugin.operations.delete import Delete
from hawkfish_plugin.operations.group_delete import GroupDelete
from hawkfish_plugin.operations.group_prune import GroupPrune
from hawkfish_plugin.operations.prune import Prune
from tests.served import message_ids
from tests.unit import trees
from tests.unit.policies.limits import (
    names,
    patch,
    plant,
    pruned,
    set_policy,
    settle,
)
from tests.waiting import holds_for, wait_for


def in_seconds(seconds):
    moment = datetime.datetime.now(datetime.UTC)
    moment += datetime.timedelta(seconds=seconds)
    return moment.isoformat(timespec='seconds')


def prune_of(emulator, serves=None):
    """The policy's prune, as a process has it that has just begun."""
    services = emulator.services
    return Prune(
        services.driver,
        services.catalogue,
        emulator.notes,
        services.policies,
        services.operations.get(Delete),
        GroupPrune(
            services.catalogue,
            services.groups,
            services.group_table,
            services.policies,
            services.operations.get(GroupDelete),
        ),
        serves or services.may_serve,
    )


# Lock, expiry, description ------------------------------------------------


def test_change_a_snapshot(emulator):
    """Description, lock and expiry are set, shown, and taken back."""
    emulator.created(Name='a', Description='old')
    expires = in_seconds(3600)

    changed = patch(
        emulator, 'a', Description='new', Locked=True, ExpiresTime=expires
    )

    assert changed.status_code == 200
    shown = requests.get(f'{emulator.snapshots_url}/a')
    assert shown.json() == changed.json()
    assert changed.headers['ETag'] == shown.headers['ETag']
    assert shown.json()['Description'] == 'new'
    assert shown.json()['Locked'] is True
    assert shown.json()['ExpiresTime'] == expires.replace('+00:00', 'Z')
    back = patch(emulator, 'a', Locked=False, ExpiresTime=None).json()
    assert (back['Locked'], back['ExpiresTime']) == (False, None)
    assert back['Description'] == 'new'


def test_created_locked_and_expiring(emulator):
    """A create takes lock and expiry with it."""
    made = emulator.created(
        Name='a', Locked=True, ExpiresTime='2999-12-31T23:59:59.5+02:00'
    )

    assert made['Locked'] is True
    assert made['ExpiresTime'] == '2999-12-31T21:59:59Z'


def test_a_lock_keeps(emulator, policy):
    """A locked snapshot is neither deleted nor pruned until it is unlocked."""
    emulator.created(Name='a', Locked=True)
    set_policy(policy, MaxSnapshots=1)
    emulator.created(Name='b')
    emulator.created(Name='c')
    settle(emulator, ['a', 'c'])

    refused = requests.delete(f'{emulator.snapshots_url}/a')

    assert refused.status_code == 409
    assert message_ids(refused) == ['SnapshotLocked']
    patch(emulator, 'a', Locked=False)
    deleted = requests.delete(f'{emulator.snapshots_url}/a')
    assert emulator.wait(deleted).status_code == 204


def test_a_new_snapshot_of_the_name_is_not_locked(emulator):
    """Notes go with their snapshot."""
    emulator.created(Name='a', Locked=True)
    emulator.driver.clear()
    emulator.wait_second()

    assert emulator.created(Name='a')['Locked'] is False


@pytest.mark.parametrize(
    'body, key',
    [
        ({'ExpiresTime': '2001-01-01T00:00:00Z'}, 'ExpiryInPast'),
        ({'ExpiresTime': '2999-01-01T00:00:00'}, 'PropertyValueFormatError'),
        ({'ExpiresTime': '2999-01-01'}, 'PropertyValueFormatError'),
        ({'ExpiresTime': '2999-02-30T00:00:00Z'}, 'PropertyValueFormatError'),
        (
            {'ExpiresTime': '0001-01-01T00:00:00+23:00'},
            'PropertyValueFormatError',
        ),
        (
            {'ExpiresTime': '9999-12-31T23:59:59-23:00'},
            'PropertyValueFormatError',
        ),
        ({'ExpiresTime': 'tomorrow'}, 'PropertyValueFormatError'),
        ({'ExpiresTime': 99999999999}, 'PropertyValueTypeError'),
        ({'Locked': 'yes'}, 'PropertyValueTypeError'),
        ({'Locked': None}, 'PropertyValueTypeError'),
        ({'Description': '\x1b[2J'}, 'PropertyValueFormatError'),
        ({'Name': 'b'}, 'PropertyNotWritable'),
        ({'IncludeMemory': True}, 'PropertyNotWritable'),
        ({'SizeBytes': 0}, 'PropertyNotWritable'),
        ({'Locks': True}, 'PropertyUnknown'),
    ],
)
def test_bad_changes(emulator, body, key):
    """A change that makes no sense is a 400, and nothing of it is done."""
    before = emulator.created(Name='a')

    response = patch(emulator, 'a', **{'Description': 'new', **body})

    assert response.status_code == 400
    assert message_ids(response) == [key]
    assert requests.get(f'{emulator.snapshots_url}/a').json() == before


def test_no_lock_on_what_is_being_deleted(emulator):
    """A snapshot that is on its way out is not changed any more."""
    emulator.created(Name='a')
    with emulator.slow():
        deleting = requests.delete(f'{emulator.snapshots_url}/a')

        refused = patch(emulator, 'a', Locked=True)

    assert (refused.status_code, message_ids(refused)) == (
        409,
        ['SnapshotBusy'],
    )
    assert emulator.wait(deleting).status_code == 204
    assert patch(emulator, 'a', Locked=True).status_code == 404


def test_a_change_waits_for_an_operation(emulator, monkeypatch):
    """While another snapshot is made a change waits, but not for ever."""
    emulator.created(Name='a')
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with emulator.slow():
            emulator.wait_running(emulator.create(Name='b'))
            changing = pool.submit(patch, emulator, 'a', Description='x')
            assert holds_for(lambda: not changing.done(), 0.1)

        assert changing.result().status_code == 200

    monkeypatch.setattr(locks, 'REQUEST_TIMEOUT', 0.1)
    with emulator.slow():
        slow = emulator.create(Name='c')
        emulator.wait_running(slow)
        refused = patch(emulator, 'a', Description='y')
    assert (refused.status_code, message_ids(refused)) == (
        503,
        ['SystemLocked'],
    )
    emulator.wait(slow)


def test_expired_snapshots_go_by_themselves(emulator):
    """No request is needed; the newest stays all the same."""
    for name in 'ab':
        emulator.created(Name=name, ExpiresTime=in_seconds(2))

    tasks = emulator.services.tasks
    wait_for(
        lambda: any(
            t.arguments.get('pruned') == 'Expired'
            and t.snapshot == 'a'
            and t.state == 'Completed'
            for t in tasks.list()[-5:]
        ),
        'the end of what has expired',
    )

    assert names(emulator) == ['b']


def test_more_time_while_it_was_decided(emulator):
    """A snapshot that was given more time is not deleted as expired."""
    emulator.created(Name='a', ExpiresTime=in_seconds(1000))
    system = emulator.services.catalogue.system(emulator.system)
    record = emulator.services.catalogue.get(system, 'a').record

    # As a prune does that has looked before the change.
    emulator.services.operations.get(Delete).submit_pruned(
        system, record, 'Expired'
    )

    emulator.wait_idle()
    assert names(emulator) == ['a']
    assert pruned(emulator)[-1].state == 'Cancelled'


def test_old_snapshots_go_by_themselves(emulator, policy, monkeypatch):
    """MaxAgeSeconds acts without a create, on systems that are served."""
    plant(emulator, [trees.CREATE, trees.CREATE])
    set_policy(policy, MaxAgeSeconds=1)
    served = {'SUSHY_EMULATOR_ALLOWED_INSTANCES': ['another']}

    emulator.app.config.update(served)
    prune_of(emulator).periodic()
    emulator.wait_idle()
    assert emulator.driver.names(emulator.system) == ['0', '1']
    emulator.app.config.pop('SUSHY_EMULATOR_ALLOWED_INSTANCES')

    prune_of(emulator).periodic()
    settle(emulator, ['1'])
    emulator.wait_idle()
    assert pruned(emulator)[-1].arguments['pruned'] == 'MaxAge'


def test_a_delete_that_does_not_help_is_not_repeated(emulator):
    """What cannot be deleted is left alone for a while."""
    for name in 'ab':
        emulator.created(Name=name)
    catalogue = emulator.services.catalogue
    system = catalogue.system(emulator.system)
    # The emulator's own prune, which may act at any time, must not.
    emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = ['another']
    emulator.notes.update(
        system.uuid, catalogue.get(system, 'a').record, {'expires': 1}
    )
    emulator.behaviour.fail_at = {
        'delete:merge': exceptions.OperationFailed('delete', 'no')
    }
    prune = prune_of(emulator, serves=lambda system: True)
    before = emulator.newest_task

    for _ in range(3):
        prune.periodic()
        emulator.wait_idle()

    assert len(pruned(emulator, before)) == 1
