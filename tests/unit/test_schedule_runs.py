# SPDX-License-Identifier: Apache-2.0
"""
What becomes of schedules when they are due, in a time of the test's own.

The fake driver does all that is asked for.  The emulator's own runs are after
the time that it is, and those of the tests are years ahead.
"""

import contextlib
import datetime
import threading

import pytest
import requests

from hawkfish_plugin import exceptions
from hawkfish_plugin.operations.scheduling import Scheduling
from hawkfish_plugin.retention.classes import Classes
from hawkfish_plugin.schedules import table
from tests.unit.conftest import NODES

DAY = 86_400
HOUR = 3600
# A Friday.
START = datetime.datetime(2037, 1, 2, 2, 30, tzinfo=datetime.UTC)
BEGIN = int(START.timestamp())


class Clock:
    now = BEGIN - 60.0

    def __call__(self):
        return self.now


class Service:
    """The schedules of an emulator, and the runs by the clock of a test."""

    def __init__(self, emulator):
        self.emulator = emulator
        self.clock = Clock()
        self.url = f'{emulator.url}/redfish/v1/JobService/Jobs'
        self.scheduling = self.process()

    def process(self):
        """One that runs what is due; there may be several."""
        services = self.emulator.services
        access = services._access
        return Scheduling(
            services.schedules,
            services.tasks,
            services.catalogue,
            services.groups,
            services.group_table,
            services.operations,
            access.acting_for,
            access.may_tell,
            self.clock,
        )

    def create(self, name='nightly', uri=None, body=None, keep=None, **when):
        schedule = {
            'InitialStartTime': START.isoformat(),
            'RecurrenceInterval': 'P1D',
            **when,
        }
        uri = uri or self.snapshots()
        response = requests.post(
            self.url,
            json={
                'Name': name,
                'Schedule': schedule,
                'Payload': {'TargetUri': uri, 'JsonBody': body or {}},
                'Oem': {'HawkFish': {'Retention': keep or {}}},
            },
            timeout=60,
        )
        assert response.status_code == 201, response.text
        return response.json()

    def snapshots(self, system=None):
        return self.emulator.snapshots_url.removeprefix(
            self.emulator.url
        ).replace(self.emulator.system, system or self.emulator.system)

    def at(self, seconds):
        """It is *seconds* after the start, and what is due is begun."""
        self.clock.now = BEGIN + seconds
        self.scheduling.periodic()
        self.emulator.wait_idle()

    def show(self, name='nightly'):
        return requests.get(f'{self.url}/{name}', timeout=60).json()

    def last(self, name='nightly'):
        return self.show(name)['Oem']['HawkFish']['LastRun']

    def count(self, name='nightly'):
        return self.show(name)['Oem']['HawkFish']['OccurrenceCount']

    def names(self, system=None):
        return self.emulator.driver.names(system or self.emulator.system)

    def row(self, name='nightly'):
        return self.emulator.services.schedules.get(name)

    def events(self, message):
        events = self.emulator.services.events
        return [
            e.args
            for e in events.after(self.before, 10_000)
            if e.message_id.endswith(message)
        ]


@pytest.fixture
def service(emulator):
    made = Service(emulator)
    made.before = emulator.services.events.newest()
    yield made
    schedules = emulator.services.schedules
    for one in schedules.list():
        schedules.delete(one.name, lambda _: None)


def stamp(seconds):
    at = START + datetime.timedelta(seconds=seconds)
    return f'{at:%Y%m%dT%H%M%SZ}'


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


# Whose systems ------------------------------------------------------------


def allow(emulator, *identities):
    emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = [*identities]


def test_a_schedule_of_a_hidden_system_is_hidden(service):
    emulator = service.emulator
    service.create()
    allow(emulator, 'node-1')

    assert requests.get(f'{service.url}/nightly').status_code == 404
    assert requests.delete(f'{service.url}/nightly').status_code == 404
    assert (
        requests.patch(
            f'{service.url}/nightly', json={'JobState': 'Suspended'}
        ).status_code
        == 404
    )
    assert requests.get(service.url).json()['Members'] == []


def test_none_can_be_made_for_a_hidden_system(service):
    allow(service.emulator, 'node-1')
    response = requests.post(
        service.url, json={'Payload': {'TargetUri': service.snapshots()}}
    )

    assert response.status_code == 400
    assert 'ScheduleTargetInvalid' in response.text


def test_a_schedule_reaches_what_its_maker_could(service):
    """Not what the emulator that runs it serves, or its group has gained."""
    emulator = service.emulator
    allow(emulator, 'node-1', 'node-2')
    group = emulator.services.group_table.create(
        'pair',
        [
            emulator.services.catalogue.system('node-1'),
            emulator.services.catalogue.system('node-2'),
        ],
    )
    uri = f'/redfish/v1/AggregationService/Aggregates/{group.name}'
    service.create(uri=f'{uri}/Oem/HawkFish/Snapshots')
    service.at(0)
    assert len(service.names(NODES['node-1'])) == 1

    emulator.app.config.pop('SUSHY_EMULATOR_ALLOWED_INSTANCES')
    emulator.services.group_table.add(
        'pair', [emulator.services.catalogue.system('node-3')]
    )
    service.at(DAY)

    assert not service.names(NODES['node-3'])
    assert len(service.names(NODES['node-1'])) == 1
    assert service.last()['Outcome'] == 'Refused'


def test_what_no_emulator_serves_any_more_is_left_alone(service):
    service.create()
    allow(service.emulator, 'node-1')
    service.at(0)
    assert not service.names()
    service.emulator.app.config.pop('SUSHY_EMULATOR_ALLOWED_INSTANCES')
    assert service.last()['Outcome'] == 'Refused'


def test_a_system_that_is_gone(service):
    """The schedule is shown, without a link to what is not there."""
    service.create()
    database = service.emulator.database
    with database.transaction() as connection:
        connection.execute(
            'UPDATE schedules SET systems = ?', ('[["no-such", "gone"]]',)
        )
    service.at(0)

    assert service.last()['Outcome'] == 'Refused'
    assert service.show()['Oem']['HawkFish']['System'] is None


def test_a_damaged_row_keeps_no_other_from_its_run(service):
    service.create('a')
    service.create('b')
    with service.emulator.database.transaction() as connection:
        connection.execute(
            "UPDATE schedules SET recurrence = 'x' WHERE name = 'a'"
        )
    service.at(0)

    assert [n.partition('-')[0] for n in service.names()] == ['b']
    with service.emulator.database.transaction() as connection:
        connection.execute("DELETE FROM schedules WHERE name = 'a'")


# What else can be asked for -----------------------------------------------


@pytest.fixture
def repository(emulator):
    conf = emulator.services.conf
    conf.set_override('repository', 'store', 'backup')
    yield
    emulator.wait_idle()
    for backup in reversed(backups(emulator)):
        emulator.wait(requests.delete(emulator.url + backup['@odata.id']))
    conf.clear_override('repository', 'backup')


def backups(emulator):
    uri = f'/redfish/v1/Systems/{emulator.system}/Oem/HawkFish/Backups'
    return requests.get(emulator.url + uri).json()['Members']


def test_backups_and_their_classes(service, repository):
    emulator = service.emulator
    uri = f'/redfish/v1/Systems/{emulator.system}/Oem/HawkFish/Backups'
    service.create(uri=uri, body={'BackupType': 'Full'}, keep={'KeepLast': 2})
    made = []
    for day in range(4):
        service.at(day * DAY)
        made.append(len(backups(emulator)))

    assert made == [1, 2, 2, 2], service.last()


def test_the_newest_snapshot_is_verified(service):
    emulator = service.emulator
    emulator.created(Name='old')
    emulator.wait_second()
    emulator.created(Name='new')
    uri = (
        f'{service.snapshots()}/Actions/'
        'HawkFishSnapshotCollection.VerifyNewest'
    )
    service.create(uri=uri, body={'RunSeconds': 1})
    service.at(0)

    found = {
        name: requests.get(f'{emulator.snapshots_url}/{name}').json()
        for name in ('old', 'new')
    }
    assert found['new']['VerifyResult'] == 'Passed'
    assert found['old']['VerifyResult'] is None


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
