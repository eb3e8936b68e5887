# SPDX-License-Identifier: Apache-2.0
"""
The SDK against the served emulator: real sushy, real HTTP.

Long, as there is a test for each call of the SDK.
"""

import datetime
import json
import threading
import time

import pytest
import sushy
from sushy import taskmonitor
from werkzeug import serving

from hawkfish_plugin import client, exceptions
from tests.waiting import patience

ODD_NAME = 'b %2F é?#&+;=\'"'
DISK_FULL = exceptions.OperationFailed('create', 'the disk is full')


@pytest.fixture
def service(emulator):
    return client.HawkFish(emulator.url)


@pytest.fixture
def snapshots(emulator, service):
    return service.snapshots(emulator.system)


@pytest.fixture
def extension(emulator):
    """HawkFish's part of a System, reached as sushy's users do."""
    root = sushy.Sushy(emulator.url)
    system = root.get_system(f'/redfish/v1/Systems/{emulator.system}')
    return system.get_oem_extension('HawkFish')


@pytest.fixture
def requested(service):
    """What the service was asked: method and path of each request."""
    seen = []
    service._conn._session.hooks['response'].append(
        lambda response, **_: seen.append(
            (response.request.method, response.request.path_url)
        )
    )
    return seen


def test_released_sushy_creates_reverts_and_deletes(extension):
    """sushy's OEM extension leads a snapshot through its whole life."""
    created = extension.snapshots.create(name='a').wait(20)

    assert [s.name for s in extension.snapshots.get_members()] == ['a']

    created.revert().wait(20)
    extension.snapshots.get('a').delete().wait(20)

    assert extension.snapshots.get_members() == []


def test_many_waits_at_once(emulator, service, snapshots):
    """Each operation that is waited for has its own outcome."""
    emulator.created(Name='a')
    with emulator.slow():
        good = snapshots.create('b')
        emulator.wait_running(good.response)
        bad = snapshots.create('c')
        late = snapshots.get('a').revert()
        seen = []
        outcomes = client.wait_all([good, bad, late], 60, seen.append)
        bad.cancel()
        assert next(outcomes).handle is bad
    emulator.behaviour.seconds = 0.0
    ended = {outcome.handle: outcome for outcome in outcomes}

    assert ended.keys() == {good, late}
    assert repr(ended[good].created) == "<Snapshot 'b': Ready>"
    assert ended[good].error is None
    assert (ended[late].created, ended[late].error) == (None, None)
    assert {task.operation for task in seen} == {'create', 'revert'}
    assert all(repr(t).startswith(f'<Task {t.identity}: ') for t in seen)
    (told,) = client.wait_all([bad])
    assert 'cancelled' in client.messages(told.error)[0]


def test_many_waits_end_in_time(emulator, snapshots):
    """The timeout is that of all; what has ended by then is no less well."""
    done = snapshots.create('a')
    done.wait(20)
    with emulator.slow():
        handles = [done, snapshots.create('b'), snapshots.create('c')]
        begin = time.monotonic()
        outcomes = list(client.wait_all(handles, 0.5))
        assert time.monotonic() - begin < patience(10)

    assert [outcome.handle for outcome in outcomes[:1]] == [done]
    assert outcomes[0].created.name == 'a'
    for outcome in outcomes[1:]:
        assert isinstance(outcome.error, client.TaskTimeout)


def test_wait_returns_the_snapshot_that_was_created(snapshots):
    """The end of a create is the snapshot, with all its fields."""
    snapshot = snapshots.create('a', 'as installed', False).wait(20)

    assert snapshot.identity == snapshot.name == 'a'
    assert snapshot.description == 'as installed'
    assert snapshot.snapshot_state == 'Ready'
    assert snapshot.snapshot_type == 'Disk'
    assert snapshot.storage_type == 'External'
    assert snapshot.is_current is True
    assert snapshot.health == 'OK'
    assert snapshot.power_state in ('On', 'Off')
    assert snapshot.created_time.tzinfo is datetime.UTC


def test_name_is_the_services_choice(snapshots):
    """Without a name the service makes one."""
    assert snapshots.create().wait(20).name.startswith('snapshot-')


def test_odd_names_survive_the_way(snapshots):
    """Whatever the service allows in a name can be used in a call."""
    created = snapshots.create(ODD_NAME).wait(20)
    child = snapshots.create('child').wait(20)

    assert created.name == ODD_NAME
    assert child.parent == ODD_NAME

    snapshots.get(ODD_NAME).delete().wait(20)

    assert [s.name for s in snapshots.get_members()] == ['child']


def test_parent_and_children_are_names(snapshots):
    """The tree can be walked by name from either end."""
    snapshots.create('root').wait(20)
    snapshots.create('leaf').wait(20)

    root, leaf = snapshots.get_members()

    assert (root.parent, root.children) == (None, ['leaf'])
    assert (leaf.parent, leaf.children) == ('root', [])


def test_system_by_name(emulator, service, snapshots):
    """A system's name reaches the same snapshots as its UUID."""
    snapshots.create('a').wait(20)

    by_name = service.snapshots(emulator.system_name).get_members()

    assert [s.name for s in by_name] == ['a']


def test_listing_takes_one_request(snapshots, requested):
    """However many snapshots there are, they are read in one request."""
    for name in 'abc':
        snapshots.create(name).wait(20)
    requested.clear()

    assert [s.name for s in snapshots.get_members()] == ['a', 'b', 'c']
    assert len(requested) == 1


def test_a_list_of_a_collection_takes_one_request(snapshots, requested):
    """Python asks for its length meanwhile; a later ``len`` is a new one."""
    for name in 'ab':
        snapshots.create(name).wait(20)

    for read in (list, tuple, sorted_by_name, lambda some: [*some]):
        requested.clear()
        assert [one.name for one in read(snapshots)] == ['a', 'b']
        assert len(requested) == 1

    read = iter(snapshots)
    next(read)
    snapshots.create('c').wait(20)
    assert len(snapshots) == 3
    assert [one.name for one in read] == ['b']


def sorted_by_name(some):
    return sorted(some, key=lambda one: one.name)


def test_create_takes_no_other_request(snapshots, requested):
    """Neither the root, nor the System, nor the collection is loaded."""
    handle = snapshots.create('a')

    assert [method for method, _ in requested] == ['POST']

    handle.wait(20)


def test_revert_asks_for_a_power_state(service, snapshots):
    """The service is told the power state to end in, if there is a wish."""
    snapshot = snapshots.create('a').wait(20)
    wish = snapshot.revert('Off')
    wish.wait(20)
    no_wish = snapshot.revert()
    no_wish.wait(20)

    bodies = [
        json.loads(service.task(handle.identity).json['Payload']['JsonBody'])
        for handle in (wish, no_wish)
    ]

    assert bodies == [{'TargetPowerState': 'Off'}, {}]


def test_wait_lasts_until_the_real_end(emulator, snapshots):
    """wait returns when the operation is over, and not before."""
    emulator.behaviour.seconds = 0.5
    begin = time.monotonic()

    snapshot = snapshots.create('a').wait(20)

    assert time.monotonic() - begin >= 0.5
    assert snapshot.snapshot_state == 'Ready'


def test_progress_is_told(emulator, snapshots):
    """The callback sees the task grow, with HawkFish's own fields."""
    emulator.behaviour.seconds = 0.5
    seen = []

    snapshots.create('a').wait(20, progress=seen.append)

    assert seen[0].operation == 'create'
    assert seen[0].snapshot == 'a'
    assert seen[0].system == emulator.system
    percents = [task.percent_complete for task in seen]
    assert percents == sorted(percents)
    assert percents[-1] > 0


def test_failed_task_raises_the_services_error(emulator, snapshots):
    """A failure reaches the caller within 5 seconds, in the server's words."""
    emulator.behaviour.fail_at = {'create:finish': DISK_FULL}
    begin = time.monotonic()

    with pytest.raises(sushy.exceptions.HTTPError) as caught:
        snapshots.create('a').wait(20)

    assert time.monotonic() - begin < patience(5)
    assert 400 <= caught.value.status_code < 500
    assert 'the disk is full' in caught.value.extended_info[0]['Message']


def test_timeout_leaves_the_task_running(emulator, service, snapshots):
    """Patience that ends is told apart from a failure; the work goes on."""
    emulator.behaviour.seconds = 1
    handle = snapshots.create('a')

    with pytest.raises(client.TaskTimeout, match=handle.identity):
        handle.wait(0.2)

    assert service.task(handle.identity).wait(20).name == 'a'


def test_wait_outlives_a_restart(emulator):
    """An emulator that goes away and comes back is no failed task."""
    emulator.behaviour.seconds = 1
    servers = [_serve(emulator.app, 0)]
    port = servers[0].port
    away = client.HawkFish(f'http://127.0.0.1:{port}')

    def restart(task):
        if len(servers) == 1:
            servers[0].shutdown()
            servers[0].server_close()
            back = threading.Timer(
                0.3, lambda: servers.append(_serve(emulator.app, port))
            )
            servers.append(back)
            back.start()

    handle = away.snapshots(emulator.system).create('a')

    assert handle.wait(20, restart).name == 'a'

    servers[-1].shutdown()


def _serve(app, port):
    server = serving.make_server('127.0.0.1', port, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_handle_is_sushys_task_monitor(emulator, snapshots):
    """Code written for sushy's TaskMonitor works with a handle."""
    emulator.behaviour.seconds = 0.3
    handle = snapshots.create('a')

    assert isinstance(handle, taskmonitor.TaskMonitor)
    assert handle.is_processing
    assert handle.task.identity == handle.identity

    monitor = taskmonitor.TaskMonitor(snapshots._conn, handle.task_monitor_uri)
    monitor.wait(20)

    assert not monitor.is_processing
    assert not handle.check_is_processing
    assert handle.task is None


def test_tasks_are_listed_in_one_request(service, snapshots, requested):
    """Every task tells its operation and snapshot without being asked."""
    first = snapshots.create('a').wait(20).delete()
    first.wait(20)
    requested.clear()

    task = next(t for t in service.tasks() if t.identity == first.identity)

    assert len(requested) == 1
    assert (task.operation, task.snapshot) == ('delete', 'a')
    assert task.task_state == sushy.TASK_STATE_COMPLETED


def test_cancelled_task_raises(emulator, service, snapshots):
    """Waiting for a task that somebody cancels ends with an error."""
    emulator.behaviour.seconds = 20
    handle = snapshots.create('a')

    service.task(handle.identity).cancel()

    with pytest.raises(sushy.exceptions.HTTPError):
        handle.wait(10)
    assert snapshots.get_members() == []


def test_handle_cancels(emulator, snapshots):
    """Whoever started a task can stop it without looking it up."""
    emulator.behaviour.seconds = 20
    handle = snapshots.create('a')

    handle.cancel()

    with pytest.raises(sushy.exceptions.HTTPError):
        handle.wait(10)


def test_warnings_of_a_task_that_succeeded(emulator, service, snapshots):
    """What the user should know after a success is in the task's warnings."""
    lost = exceptions.HypervisorUnavailable('fake', 'connection reset')
    emulator.behaviour.fail_at = {'create:finish': lost}
    handle = snapshots.create('a')

    assert handle.wait(20).name == 'a'
    warnings = service.task(handle.identity).warnings
    assert any('connection reset' in warning for warning in warnings)


def test_refusals_are_sushys_errors(snapshots):
    """What cannot be done raises at once, as the class sushy has for it."""
    snapshots.create('a').wait(20)

    with pytest.raises(sushy.exceptions.HTTPError) as caught:
        snapshots.create('a')
    assert caught.value.status_code == 409

    with pytest.raises(sushy.exceptions.BadRequestError):
        snapshots.create('a/b')

    with pytest.raises(sushy.exceptions.ResourceNotFoundError):
        snapshots.get('missing')


def test_changes_of_a_snapshot(snapshots):
    """What is changed is in the answer, and in the next reading."""
    created = snapshots.create('a', locked=True).wait()

    changed = created.update(
        description='new', locked=False, expires_time='2999-01-01T00:00:00Z'
    )

    read = snapshots.get('a')
    for seen in (changed, read):
        assert (seen.description, seen.locked) == ('new', False)
        assert seen.expires_time == datetime.datetime(
            2999, 1, 1, tzinfo=datetime.UTC
        )
    assert read.update(expires_time=None).expires_time is None


def test_a_change_of_what_has_changed_is_refused(snapshots):
    """Nobody's change is lost: sushy's habit to insist is not ours."""
    snapshots.create('a').wait()
    mine, theirs = snapshots.get('a'), snapshots.get('a')
    theirs.update(description='theirs')

    with pytest.raises(sushy.exceptions.HTTPError) as caught:
        mine.update(description='mine')

    assert caught.value.status_code == 412
    assert snapshots.get('a').description == 'theirs'


def test_the_policy_of_a_system(emulator, service, extension, snapshots):
    """Limits are set, shown, and tell what a create would do."""
    policy = service.policy(emulator.system)
    assert extension.policy.max_snapshots == policy.max_snapshots
    snapshots.create('a').wait()

    changed = service.policy(emulator.system).update(max_snapshots=1)

    assert (changed.max_snapshots, changed.snapshot_count) == (1, 1)
    seen = changed.preview('b')
    assert seen.name == 'b'
    assert [(p['Name'], p['Reason']) for p in seen.pruned] == [
        ('a', 'MaxSnapshots')
    ]
    assert changed.update(max_snapshots=None).max_snapshots == 0


def test_purge(snapshots):
    """Every snapshot goes, locked ones by force."""
    snapshots.create('a', locked=True).wait()

    with pytest.raises(sushy.exceptions.HTTPError, match='locked'):
        snapshots.purge()
    snapshots.purge(force=True).wait()

    assert snapshots.get_members() == []


def test_messages_of_an_error(snapshots):
    """What the service says about an error comes with what to do."""
    with pytest.raises(sushy.exceptions.BadRequestError) as caught:
        snapshots.create('a/b')

    reason, remedy = client.messages(caught.value)
    assert "'a/b'" in reason
    assert remedy.endswith('.')


def test_messages_where_there_are_none(service):
    """An error without an answer has no messages."""
    away = client.HawkFish('http://127.0.0.1:1')

    with pytest.raises(sushy.exceptions.ConnectionError) as caught:
        away.tasks()

    assert client.messages(caught.value) == []
