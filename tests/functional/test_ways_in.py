# SPDX-License-Identifier: Apache-2.0
"""Every way into the emulator ends in the same service."""

import concurrent.futures

import pytest
import requests

from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator
from tests.served import OWN_WSGI, STOCK_WSGI, message_ids, user_entry

pytestmark = pytest.mark.once

PROCESSES = ['--workers', '3', '--threads', '4']


def config_option(emulator):
    """The stock script with --config: as it stands."""


def config_variable(emulator):
    """The stock script with SUSHY_EMULATOR_CONFIG."""
    emulator.name_config()
    emulator.command = ['sushy-emulator', *emulator.options()]


def both(emulator):
    """Option and variable together: the file runs twice."""
    emulator.name_config()


def debug(emulator):
    """Under Flask's reloader: two processes run the file."""
    emulator.command.append('--debug')


def own_script(emulator):
    """hawkfish-emulator, with no configuration file at all."""
    emulator.command = ['hawkfish-emulator', *emulator.options()]


def own_wsgi(emulator):
    """hawkfish_plugin.wsgi under gunicorn, three processes."""
    emulator.use_gunicorn(OWN_WSGI, *PROCESSES)


def stock_wsgi(emulator):
    """The stock WSGI application under gunicorn, loaded before the fork."""
    emulator.use_gunicorn(STOCK_WSGI, *PROCESSES, '--preload')


WAYS = [
    config_option,
    config_variable,
    both,
    debug,
    own_script,
    own_wsgi,
    stock_wsgi,
]


@pytest.fixture
def fresh(folder, host):
    """An emulator that a test configures and starts."""
    made = Emulator(folder, host.uri)
    yield made
    made.stop()


@pytest.mark.parametrize('way', WAYS, ids=lambda way: way.__name__)
def test_way_in(make_system, fresh, way):
    """Links, list, create and delete work, whichever process is asked."""
    way(fresh)
    fresh.start()
    system = make_system(**SMALL)

    body = requests.get(fresh.system(system.uuid)).json()
    root = requests.get(f'{fresh.url}/redfish/v1/').json()

    oem = body['Oem']['HawkFish']
    assert oem['Snapshots']['@odata.id'] == (
        f'/redfish/v1/Systems/{system.uuid}/Oem/HawkFish/Snapshots'
    )
    assert root['Tasks']['@odata.id'] == '/redfish/v1/TaskService'
    names = [f's{n}' for n in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(
            pool.map(lambda name: fresh.create(system.uuid, Name=name), names)
        )
    for _ in range(6):
        listed = fresh.snapshots(system.uuid)
        assert sorted(s['Name'] for s in listed) == names
    fresh.revert(system.uuid, listed[0]['Name'])
    tasks = fresh.tasks()
    assert len(tasks) == 7
    assert {t['TaskState'] for t in tasks} == {'Completed'}
    stub = requests.get(f'{fresh.url}/redfish/v1/TaskService/Tasks/42')
    assert stub.status_code == 200


@pytest.mark.parametrize('features', ['full', 'vmedia', 'minimum'])
def test_feature_sets(make_system, fresh, features):
    """Snapshots are there in every feature set, as systems and tasks are."""
    fresh.command += ['--feature-set', features]
    fresh.start()
    system = make_system(**SMALL)

    assert fresh.create(system.uuid, Name='s')['Name'] == 's'
    stock = requests.get(f'{fresh.url}/redfish/v1/Chassis')
    assert stock.status_code == (200 if features == 'full' else 404)


def test_authentication_covers_every_path(make_system, folder, host):
    """With an authentication file no path of ours answers without it."""
    users = folder / 'users'
    users.write_text(user_entry('admin', 'secret'))
    guarded = Emulator(
        folder, host.uri, f'SUSHY_EMULATOR_AUTH_FILE = {str(users)!r}\n'
    )
    guarded.start()
    try:
        system = make_system(**SMALL)
        snapshots = f'{guarded.system(system.uuid)}/Oem/HawkFish/Snapshots'
        tasks = f'{guarded.url}/redfish/v1/TaskService'
        for url in (
            snapshots,
            f'{snapshots}/x',
            f'{tasks}/Tasks',
            f'{tasks}/Tasks/43',
            f'{tasks}/TaskMonitors/43',
            tasks,
        ):
            for method in ('GET', 'POST', 'DELETE', 'HEAD'):
                response = requests.request(method, url)
                assert response.status_code == 401, (method, url)
        allowed = requests.get(snapshots, auth=('admin', 'secret'))
        assert allowed.status_code == 200
        assert requests.get(f'{guarded.url}/redfish/v1/').status_code == 200
    finally:
        guarded.stop()


def test_allowed_instances(make_system, folder, host):
    """A system that is not allowed has neither snapshots nor tasks."""
    mine, other = make_system(**SMALL), make_system(**SMALL)
    guarded = Emulator(
        folder,
        host.uri,
        f'SUSHY_EMULATOR_ALLOWED_INSTANCES = [{mine.uuid!r}]\n',
    )
    guarded.start()
    try:
        guarded.create(mine.uuid, Name='s')
        assert [s['Name'] for s in guarded.snapshots(mine.name)] == ['s']
        for identity in (other.uuid, other.name):
            refused = guarded.post_create(identity, Name='s')
            assert refused.status_code == 404
            assert message_ids(refused) == ['ResourceMissingAtURI']
        assert other.domain.snapshotListNames() == []
    finally:
        guarded.stop()
