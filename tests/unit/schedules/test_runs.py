# SPDX-License-Identifier: Apache-2.0
"""What becomes of schedules when they are due."""

import contextlib
import threading

import pytest
import requests

from hawkfish_plugin import exceptions
from hawkfish_plugin.schedules import table
from tests.unit.schedules.clock import BEGIN, DAY, HOUR, stamp

# Runs ---------------------------------------------------------------------


def test_a_run_is_an_ordinary_task(service):
    """It is due, it is done, and the next one is planned."""
    service.create(body={'Description': 'each night'})

    service.at(-1)
    assert not service.names()
    service.at(3)

    assert [*service.names()] == [f'nightly-{stamp(3)}']
    last = service.last()
    task = requests.get(
        f'{service.emulator.url}{last["Task"]["@odata.id"]}', timeout=60
    ).json()
    assert task['TaskState'] == 'Completed'
    assert task['Payload']['TargetUri'] == service.snapshots()
    assert last['Outcome'] == 'Started'
    assert last['DueTime'] == '2037-01-02T02:30:00Z'
    assert last['Time'] == '2037-01-02T02:30:03Z'
    oem = service.show()['Oem']['HawkFish']
    assert oem['NextRunTime'] == '2037-01-03T02:30:00Z'


def test_missed_runs_are_made_up_for_once(service):
    """Whatever was due while the service was down is one run."""
    service.create()

    service.at(5 * DAY + 7)
    service.at(5 * DAY + 8)

    assert len(service.names()) == 1
    assert service.count() == 1
    assert service.last()['DueTime'] == '2037-01-02T02:30:00Z'
    service.at(6 * DAY)
    assert len(service.names()) == 2


def test_a_run_is_skipped_while_the_one_before_goes_on(service):
    service.create()
    with service.emulator.slow():
        service.clock.now = BEGIN
        service.scheduling.periodic()
        service.clock.now = BEGIN + DAY
        service.scheduling.periodic()
        busy = service.row().task
        assert service.show()['JobState'] == 'Running'
    service.emulator.wait_idle()

    assert service.last()['Outcome'] == 'Skipped'
    assert service.show()['JobStatus'] == 'Warning'
    assert 'skipped a run' in service.show()['Messages'][0]['Message']
    assert service.events('ScheduleRunSkipped') == [['nightly', str(busy)]]
    assert len(service.names()) == 1
    service.at(2 * DAY)
    assert len(service.names()) == 2
    assert service.show()['JobStatus'] == 'OK'


@pytest.mark.parametrize(
    'body, checked',
    [({}, ['Files']), ({'Agent': True}, ['Files', 'Running', 'Agent'])],
)
def test_a_backup_is_verified_as_asked(service, emulator, body, checked):
    """Its files each day, or a clone of it as well."""
    conf = emulator.services.conf
    conf.set_override('repository', 'store', 'backup')
    uri = service.snapshots().replace('/Snapshots', '/Backups')
    answer = emulator.wait(
        requests.post(emulator.url + uri, json={}, timeout=60)
    )
    backup = emulator.url + answer.json()['@odata.id']
    verify = answer.json()['Actions']['#HawkFishBackup.Verify']['target']
    try:
        service.create(uri=verify, body=body)
        service.at(0)

        assert service.last()['Outcome'] == 'Started'
        found = requests.get(backup, timeout=60).json()['Verification']
        assert [one['Check'] for one in found['Checks']] == checked
    finally:
        emulator.wait(requests.delete(backup, timeout=60))
        conf.clear_override('repository', 'backup')


def test_a_run_that_is_refused_is_told(service, policy):
    """As the request would be; the next run is another one."""
    requests.patch(policy, json={'MaxSnapshots': 1, 'OnLimit': 'Refuse'})
    service.create()

    service.at(0)
    service.at(DAY)

    assert len(service.names()) == 1
    assert service.last()['Outcome'] == 'Refused'
    assert service.last()['Time'] == '2037-01-03T02:30:00Z'
    ((name, reason),) = service.events('ScheduleRunRefused')
    assert name == 'nightly'
    assert 'limit' in reason
    assert service.count() == 2


def test_a_run_waits_for_the_hypervisor(service):
    """It is told once, and begins as soon as it can: once."""
    service.create()
    away = threading.Event()
    real = service.scheduling._kinds

    def unavailable(run):
        away.set()
        raise exceptions.HypervisorUnavailable('fake:///', 'gone')

    service.scheduling._kinds = {'snapshot': unavailable}
    service.at(0)
    service.at(DAY)
    assert away.is_set()
    assert service.last()['Outcome'] == 'Waiting'
    assert service.last()['Time'] is None
    assert len(service.events('ScheduleRunDelayed')) == 1

    service.scheduling._kinds = real
    service.at(DAY + 60)
    service.at(DAY + 61)

    assert len(service.names()) == 1
    assert service.last()['Outcome'] == 'Started'


def test_a_run_that_waits_writes_nothing(service):
    """It is tried every few seconds, by the process that has the workers."""
    service.create()
    reasons = iter(['gone', 'gone', 'gone', 'refused'])

    def unavailable(run):
        raise exceptions.HypervisorUnavailable('fake:///', next(reasons))

    service.scheduling._kinds = {'snapshot': unavailable}
    database = service.emulator.database
    with database.transaction() as connection:
        connection.execute('CREATE TABLE written (id INTEGER)')
        connection.execute(
            'CREATE TRIGGER writes AFTER UPDATE ON schedules BEGIN '
            'INSERT INTO written VALUES (new.id); END'
        )
    writes = []
    try:
        for seconds in range(4):
            service.at(seconds)
            writes.append(len(database.query('SELECT * FROM written')))
    finally:
        with database.transaction() as connection:
            connection.execute('DROP TRIGGER writes')
            connection.execute('DROP TABLE written')

    assert writes == [1, 1, 1, 2]
    assert 'refused' in service.show()['Messages'][0]['Message']


def test_several_processes_run_it_once(service):
    """Who has lost the workers may still be at it."""
    service.create()
    service.clock.now = BEGIN
    others = [service.process() for _ in range(4)]
    seen = [threading.Thread(target=one.periodic) for one in others]
    for thread in seen:
        thread.start()
    for thread in seen:
        thread.join(60)
    service.emulator.wait_idle()

    assert len(service.names()) == 1
    assert service.count() == 1


def test_what_is_claimed_by_another_is_not_queued(service):
    """The task and the claim are written together or not at all."""
    service.create()
    stale = service.row()
    service.at(0)
    before = service.emulator.newest_task

    service.clock.now = BEGIN + 1
    with pytest.raises(table.Claimed):
        service.scheduling._run(stale)

    assert service.emulator.newest_task == before
    assert service.count() == 1


def test_a_process_that_dies_before_the_claim_leaves_it_due(service):
    service.create()
    service.clock.now = BEGIN
    claim = service.emulator.services.schedules.claim

    class Died(BaseException):
        pass

    def die(*args, **kw):
        claim(*args, **kw)
        raise Died

    service.scheduling._schedules.claim = die
    try:
        with contextlib.suppress(Died):
            service.scheduling.periodic()
    finally:
        del service.scheduling._schedules.claim
    assert not service.names()
    assert service.count() == 0

    service.at(1)
    assert len(service.names()) == 1


# The clock ----------------------------------------------------------------


def test_a_clock_that_is_set_back_doubles_nothing(service):
    service.create(RecurrenceInterval='PT1H')
    service.at(0)

    for seconds in (-HOUR, -5, 0, 5, HOUR - 1):
        service.at(seconds)
    assert len(service.names()) == 1
    service.at(HOUR)
    assert len(service.names()) == 2


def test_a_clock_that_is_set_forward_starts_no_storm(service):
    """A year in one step is one run; and back again, it goes on."""
    service.create(RecurrenceInterval='PT1H')
    service.at(0)
    service.at(365 * DAY)
    service.at(365 * DAY + 1)
    assert len(service.names()) == 2

    # The time is right again, and an hour passes.
    service.at(HOUR)
    assert len(service.names()) == 2
    database = service.emulator.database
    with database.transaction() as connection:
        connection.execute(
            'UPDATE schedules SET due_steady = due_steady - ?', (2 * HOUR,)
        )
    service.at(2 * HOUR - 1)
    assert len(service.names()) == 2
    service.at(2 * HOUR)
    assert len(service.names()) == 3


def test_a_clock_that_was_ahead_ends_no_schedule(service):
    """Its lifetime was over for a moment; then it goes on where it was."""
    service.create(RecurrenceInterval='PT1H', Lifetime='P9000D')
    service.at(0)
    service.at(30_000 * DAY)
    assert service.show()['JobState'] == 'Completed'
    made = len(service.names())

    service.at(HOUR - 60)
    assert service.show()['JobState'] == 'Pending'
    assert len(service.names()) == made
    service.at(2 * HOUR)
    assert len(service.names()) == made + 1


def test_a_clock_that_is_set_back_begins_nothing_anew(service):
    """What has had its last run has none again."""
    service.create('once', RecurrenceInterval=None)
    service.create('most', RecurrenceInterval='PT1H', MaxOccurrences=1)
    service.at(0)
    for seconds in (-DAY, 0, HOUR, DAY):
        service.at(seconds)

    assert len(service.names()) == 2
    assert service.show('once')['JobState'] == 'Completed'
    assert service.show('most')['JobState'] == 'Completed'


# Suspended ----------------------------------------------------------------


def test_suspended_and_resumed(service):
    """Nothing runs meanwhile, and nothing is made up for."""
    service.create()
    for change in (
        lambda: requests.patch(
            f'{service.url}/nightly', json={'JobState': 'Suspended'}
        ),
        lambda: requests.post(
            f'{service.url}/nightly/Actions/Job.Suspend', json={}
        ),
    ):
        assert change().status_code in (200, 204)
        assert service.show()['JobState'] == 'Suspended'
        assert service.show()['Oem']['HawkFish']['NextRunTime'] is None
    service.at(DAY)
    assert not service.names()

    schedules = service.emulator.services.schedules
    schedules.change(
        'nightly', lambda _: None, BEGIN + 3.5 * DAY, suspended=False
    )
    assert service.show()['JobState'] == 'Pending'
    service.at(3.6 * DAY)
    assert not service.names()
    service.at(4 * DAY)
    assert len(service.names()) == 1


def test_most_occurrences_and_lifetime(service):
    service.create(MaxOccurrences=2)
    for day in range(4):
        service.at(day * DAY)

    assert len(service.names()) == 2
    assert service.show()['JobState'] == 'Completed'
    assert service.show()['Oem']['HawkFish']['NextRunTime'] is None
