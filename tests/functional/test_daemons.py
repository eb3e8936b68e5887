# SPDX-License-Identifier: Apache-2.0
"""Daemons that are gone, folders that cannot be written to."""

import pathlib

import pytest
import requests

from tests.functional.conftest import SMALL
from tests.functional.emulator import Emulator
from tests.lab.host import Host
from tests.served import message_ids

pytestmark = pytest.mark.once


@pytest.fixture
def fresh(folder, host):
    made = Emulator(folder, host.uri)
    yield made
    made.stop()


def test_daemon_down_at_start(make_system, fresh, host: Host):
    """Without libvirtd a 503 says so; when it is back, all is served."""
    system = make_system(**SMALL)
    host.kill_daemon()
    try:
        fresh.start()
        response = requests.get(
            f'{fresh.system(system.uuid)}/Oem/HawkFish/Snapshots'
        )
        assert response.status_code == 503
        assert message_ids(response) == ['HypervisorUnavailable']
        assert requests.get(f'{fresh.url}/redfish/v1/').status_code == 200
        assert (
            requests.get(
                f'{fresh.url}/redfish/v1/TaskService/Tasks'
            ).status_code
            == 200
        )
    finally:
        host.start_daemon()

    assert fresh.create(system.uuid, Name='s')['Name'] == 's'


@pytest.mark.parametrize('how', ['kill', 'restart'])
def test_daemon_restarted_while_serving(make_system, fresh, host, how):
    """After a restart of libvirtd both we and the emulator serve on."""
    system = make_system(**SMALL)
    fresh.start()
    fresh.create(system.uuid, Name='before')
    assert requests.get(fresh.system(system.uuid)).status_code == 200
    if how == 'kill':
        host.kill_daemon()
        host.start_daemon()
    else:
        host.restart_daemon()

    listed = fresh.snapshots(system.uuid)

    assert [s['Name'] for s in listed] == ['before']
    fresh.create(system.uuid, Name='after')
    fresh.revert(system.uuid, 'before')
    # The emulator's own resources as well, though it keeps dead handles.
    response = requests.get(fresh.system(system.uuid))
    assert response.status_code == 200, response.text
    reset = requests.post(
        f'{fresh.system(system.uuid)}/Actions/ComputerSystem.Reset',
        json={'ResetType': 'On'},
    )
    assert reset.status_code == 204, reset.text


def test_state_folder_not_writable(make_system, folder, host):
    """Without a state folder our resources say so; the emulator goes on."""
    blocker = folder / 'file'
    blocker.write_text('')
    broken = Emulator(
        folder, host.uri, OS_HAWKFISH__STATE_DIR=str(blocker / 'state')
    )
    broken.start()
    try:
        system = make_system(**SMALL)
        response = broken.post_create(system.uuid, Name='s')
        assert response.status_code == 503
        assert message_ids(response) == ['StateUnavailable']
        assert system.domain.snapshotListNames() == []
        assert requests.get(broken.system(system.uuid)).status_code == 200
        reset = requests.post(
            f'{broken.system(system.uuid)}/Actions/ComputerSystem.Reset',
            json={'ResetType': 'On'},
        )
        assert reset.status_code == 204, reset.text
        blocker.unlink()
        assert broken.create(system.uuid, Name='s')['Name'] == 's'
    finally:
        broken.stop()


def test_bad_configuration(make_system, folder: pathlib.Path, host):
    """A value that does not fit is told; the emulator itself is served."""
    options = folder / 'hawkfish.conf'
    options.write_text('[tasks]\nworkers = many\n')
    broken = Emulator(folder, host.uri, HAWKFISH_CONFIG_FILE=str(options))
    broken.start()
    try:
        system = make_system(**SMALL)
        response = broken.post_create(system.uuid, Name='s')
        assert response.status_code == 503
        assert message_ids(response) == ['ConfigurationInvalid']
        assert requests.get(broken.system(system.uuid)).status_code == 200
    finally:
        broken.stop()
