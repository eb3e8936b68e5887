# SPDX-License-Identifier: Apache-2.0
"""Whose systems a schedule reaches, and what it asks for."""

import pytest
import requests

from hawkfish_plugin import exceptions
from hawkfish_plugin.audit import View
from tests.unit.conftest import NODES
from tests.unit.schedules.clock import DAY

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


@pytest.mark.parametrize('by', ['uuid', 'all', 'name'])
def test_schedules_are_shown_while_the_hypervisor_is_away(
    service, monkeypatch, by
):
    """By the database alone, but for names, which may be others by now."""
    service.create()
    if by != 'all':
        allow(
            service.emulator,
            service.emulator.system if by == 'uuid' else 'fake',
        )
    assert requests.get(f'{service.url}/nightly').status_code == 200
    asked = []

    def gone(driver, identity):
        asked.append(identity)
        raise exceptions.HypervisorUnavailable('fake:///', 'gone')

    monkeypatch.setattr(type(service.emulator.driver), 'resolve', gone)
    shown = requests.get(f'{service.url}?$expand=.').json()['Members']
    one = requests.get(f'{service.url}/nightly')

    if by == 'name':
        assert shown == []
        assert one.status_code == 404
        return
    assert [job['Id'] for job in shown] == ['nightly']
    assert one.status_code == 200
    link = one.json()['Oem']['HawkFish']['System']['@odata.id']
    assert link.endswith(service.emulator.system)
    suspended = requests.post(
        f'{service.url}/nightly/Actions/Job.Suspend', json={}
    )
    assert suspended.status_code == 204
    assert not asked


def test_the_log_has_the_systems_of_a_schedule(service):
    """Whoever may see only these reads in the log what became of it."""
    service.create()
    requests.post(f'{service.url}/nightly/Actions/Job.Suspend', json={})
    audit = service.emulator.services.audit
    ids = audit.ids(View(None, service.emulator.system))
    (entry,) = audit.load(ids[:1])

    assert entry.uri.endswith('/Job.Suspend')


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


@pytest.mark.parametrize(
    'rule',
    ['x', '[]', '{}', '{"start": "x"}', '{"start": 0, "weekdays": ["x"]}'],
)
def test_a_damaged_rule_keeps_no_other_from_its_run(service, rule):
    service.create('a')
    service.create('b')
    database = service.emulator.database
    with database.transaction() as connection:
        connection.execute(
            "UPDATE schedules SET recurrence = ? WHERE name = 'a'", (rule,)
        )
    service.at(0)

    assert [n.partition('-')[0] for n in service.names()] == ['b']
    members = requests.get(f'{service.url}?$expand=.').json()['Members']
    assert [one['Id'] for one in members] == ['b']
    with database.transaction() as connection:
        connection.execute("DELETE FROM schedules WHERE name = 'a'")


def test_a_run_that_fails_unexpectedly_keeps_no_other_from_its_own(service):
    service.create('a')
    service.create('b')
    with service.emulator.database.transaction() as connection:
        connection.execute(
            "UPDATE schedules SET options = ? WHERE name = 'a'", ('{"x": 1}',)
        )
    service.at(0)

    assert [n.partition('-')[0] for n in service.names()] == ['b']


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


@pytest.mark.parametrize('column', ['payload', 'options', 'systems'])
def test_a_damaged_row_does_nothing(service, column):
    """Not even again and again, as what is never claimed stays due."""
    service.create()
    with service.emulator.database.transaction() as connection:
        connection.execute(f"UPDATE schedules SET {column} = 'x'")
    service.at(0)
    service.at(1)

    assert [*service.names()] == []
    with service.emulator.database.transaction() as connection:
        connection.execute('DELETE FROM schedules')
