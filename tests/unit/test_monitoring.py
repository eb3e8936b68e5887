# SPDX-License-Identifier: Apache-2.0
"""The health and the metrics of the service, for programs that watch it."""

import dataclasses
import threading

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from hawkfish_plugin import exceptions, survey
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.supervision import Supervisor
from tests.unit.receiver import Receiver
from tests.waiting import wait_for

SYSTEM = contract.System('u', 'node-0')
READING = survey.Reading({SYSTEM: 'On'}, {SYSTEM: survey.Holding(2, 30)})


@pytest.fixture
def options(emulator):
    """Set an option of the group for the test."""
    conf = emulator.services.conf
    names = []

    def set_option(name, value):
        names.append(name)
        conf.set_override(name, value, 'monitoring')

    yield set_option
    for name in names:
        conf.clear_override(name, 'monitoring')


def samples(emulator):
    """What a scrape tells, by name and labels."""
    response = requests.get(f'{emulator.url}/metrics', timeout=60)
    assert response.status_code == 200, response.text
    assert response.headers['Content-Type'].startswith('text/plain; version=')
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_health_is_told(emulator):
    """A service that works says so, and nothing else."""
    response = requests.get(f'{emulator.url}/healthz', timeout=60)

    assert (response.status_code, response.json()) == (200, {'status': 'OK'})


def test_silence_of_the_workers_is_critical(emulator):
    """A probe fails where nobody runs the tasks."""
    database = emulator.services.tasks._db

    def is_critical():
        # The owner may say in between that it is there.
        with database.transaction() as connection:
            connection.execute('UPDATE engine SET seen = seen - 1000')
        response = requests.get(f'{emulator.url}/healthz', timeout=60)
        return (response.status_code, response.json()['status']) == (
            503,
            'Critical',
        )

    assert wait_for(is_critical)


@pytest.mark.parametrize('option', ['healthz', 'metrics'])
def test_each_is_served_only_if_wanted(emulator, options, option):
    """Without its option there is no such resource."""
    options(option, False)

    response = requests.get(f'{emulator.url}/{option}', timeout=60)

    assert response.status_code == 404


def test_tasks_are_counted_by_kind_and_end(emulator, options):
    """What ends is counted, with its time, and stays counted."""
    options('metrics', True)
    count = ('hawkfish_task_duration_seconds_count', 'create', 'Completed')
    seconds = ('hawkfish_task_duration_seconds_sum', 'create', 'Completed')
    before = samples(emulator)

    emulator.created(Name='counted')

    after = samples(emulator)
    assert after[count] == before.get(count, 0) + 1
    assert after[seconds] > before.get(seconds, 0)


def test_tasks_that_run_are_told(emulator, options):
    """A task that has not ended is there with its state."""
    options('metrics', True)
    with emulator.slow():
        accepted = emulator.create(Name='slow')
        emulator.wait_running(accepted)

        found = samples(emulator)

        emulator.cancel(accepted)
    assert found['hawkfish_tasks_active', 'create', 'Running'] == 1


def test_snapshots_and_their_bytes_are_told(emulator, options):
    """By system, as soon as the hypervisor has been asked."""
    emulator.created(Name='told')
    options('metrics', True)
    # What was read a moment ago may be of before.
    vars(emulator.services._background).pop('metrics', None)

    found = samples(emulator)

    labels = (emulator.system_name, emulator.system)
    assert found['hawkfish_snapshots', *labels] >= 1
    assert found['hawkfish_snapshot_bytes', *labels] >= 0
    assert found['hawkfish_hypervisor_up',] == 1
    assert found['hawkfish_systems', 'Off'] >= 1


def test_deliveries_are_counted(emulator, options):
    """Those that were taken, and those that were not."""
    options('metrics', True)
    taken = ('hawkfish_event_deliveries_total', 'taken')
    before = samples(emulator)[taken]
    receiver = Receiver()
    subscribed = requests.post(
        f'{emulator.url}/redfish/v1/EventService/Subscriptions',
        json={'Destination': receiver.url, 'Protocol': 'Redfish'},
        timeout=60,
    )
    assert subscribed.status_code == 201, subscribed.text
    try:
        emulator.created(Name='delivered')

        wait_for(lambda: samples(emulator)[taken] > before, 'a delivery')
    finally:
        requests.delete(
            emulator.url + subscribed.headers['Location'], timeout=60
        )
        receiver.stop()


def test_a_format_is_agreed_on(emulator, options):
    """Prometheus gets OpenMetrics where it asks for that."""
    options('metrics', True)

    response = requests.get(
        f'{emulator.url}/metrics',
        headers={'Accept': 'application/openmetrics-text; version=1.0.0'},
        timeout=60,
    )

    assert response.headers['Content-Type'].startswith(
        'application/openmetrics-text'
    )
    assert response.text.endswith('# EOF\n')


def test_a_hypervisor_that_hangs_delays_nobody():
    """One thread waits for it, and whoever asks has the last reading."""
    hangs, called = threading.Event(), []

    def read():
        called.append(1)
        hangs.wait()
        return READING

    watched = survey.Survey(read, Supervisor())
    try:
        assert watched.latest(0) is None
        assert watched.latest(0.01) is None
        assert watched.works() is None
        assert len(called) == 1
    finally:
        hangs.set()
    assert watched.latest(60) == READING
    assert watched.works()


def test_a_reading_that_hangs_after_a_good_one(monkeypatch):
    """The last reading stays, and that it is old is told."""
    monkeypatch.setattr(survey, '_FRESH_SECONDS', -1)
    monkeypatch.setattr(survey, '_SLOW_SECONDS', 0)
    hangs = threading.Event()
    answers = iter([lambda: True, hangs.wait])

    def read():
        next(answers)()
        return READING

    watched = survey.Survey(read, Supervisor())
    try:
        assert watched.latest(60) == READING
        assert watched.latest(0) == READING
        wait_for(lambda: watched.works() is False, 'the deadline')
        assert watched.age() > 0
    finally:
        hangs.set()


def test_a_hypervisor_that_is_away_is_told():
    """That is no failure of a thread of ours, which would be a warning."""

    def read():
        raise OSError('away')

    supervisor = Supervisor()
    watched = survey.Survey(read, supervisor)

    assert watched.latest(60) is None
    assert watched.works() is False
    assert not supervisor.failing()


def test_a_process_without_a_thread_left(monkeypatch):
    """It looks as soon as it has one, and nobody is told a lie before."""

    def none_left(_thread):
        raise RuntimeError("can't start new thread")

    watched = survey.Survey(lambda: READING, Supervisor())
    with monkeypatch.context() as context:
        context.setattr(threading.Thread, 'start', none_left)
        assert watched.latest(60) is None
        assert watched.works() is None

    assert watched.latest(60) == READING
    assert watched.works() is True


def test_one_system_that_cannot_be_read(emulator, monkeypatch, caplog):
    """The others are told all the same, and the log says why it is not."""
    driver = emulator.driver
    whole, broken = driver.resolve('fake'), driver.resolve('node-0')

    def inventory(uuid, *args, look=driver.inventory):
        if uuid == broken.uuid:
            raise exceptions.NotAnswering(broken.name, 30)
        return look(uuid, *args)

    monkeypatch.setattr(driver, 'inventory', inventory)
    watched = survey.Survey(
        lambda: survey.read(driver, lambda system: True), Supervisor()
    )

    reading = watched.latest(60)

    assert watched.works() is True
    assert broken in reading.power_states
    assert broken not in reading.holdings
    assert whole in reading.holdings
    assert any(
        f'Looking at {broken.name} failed' in text for text in caplog.messages
    )


def test_nothing_is_noted_of_what_is_looked_at(emulator):
    """Nobody has asked for anything, and no system is locked."""
    emulator.created(Name='old')
    (before,) = emulator.driver.snapshots(emulator.system)
    emulator.driver.plant(
        emulator.system,
        [dataclasses.replace(before, name='new', overwritten=True)],
    )
    noted = emulator.notes.read(emulator.system)
    assert ('old', before.created) in noted

    reading = survey.read(emulator.driver, lambda system: True)

    system = emulator.driver.resolve(emulator.system)
    assert reading.holdings[system].snapshots == 1
    assert emulator.notes.read(emulator.system) == noted
