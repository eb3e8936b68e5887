# SPDX-License-Identifier: Apache-2.0
"""An emulator that is killed over a backup leaves no half of anything."""

import contextlib

import pytest
import requests

from hawkfish_plugin.drivers import behaviour
from hawkfish_plugin.emulator import internals
from tests.served import FAKE_UUID, Served


@pytest.fixture
def served(tmp_path):
    """The emulator with one backup, which can be told where to die."""
    made = Served(tmp_path, OS_BACKUP__REPOSITORY='store')
    made.command[0] = 'hawkfish-emulator'
    made.start()
    answer = made.wait(requests.post(url_of(made), json={}, timeout=60))
    assert answer.status_code == 201, answer.text
    yield made
    made.stop()


def url_of(served):
    return f'{served.system(FAKE_UUID)}/Oem/HawkFish/Backups'


def backups(served):
    return requests.get(f'{url_of(served)}?$expand=.', timeout=60).json()[
        'Members'
    ]


def files(served):
    """The names of what the fake host has in the repository."""
    config = {'SUSHY_EMULATOR_STATE_DIR': str(served.folder)}
    return set(internals.persistent_dict(config, 'hawkfish-repository'))


def systems(served):
    url = f'{served.url}/redfish/v1/Systems'
    return requests.get(url, timeout=60).json()['Members']


@pytest.mark.parametrize('step', behaviour.STEPS['backup'])
def test_a_killed_backup_is_whole_or_gone(served, step):
    """And so are its files; the next one stands on what is there."""
    served.restart('--fake-die', f'backup:{step}')
    # It may die before it has answered.
    with contextlib.suppress(requests.RequestException):
        requests.post(url_of(served), json={}, timeout=60)
    served.wait_dead()

    served.restart()
    served.wait_ended()
    found = backups(served)

    assert len(found) == 1 + (step == 'finish')
    manifests = {file for file in files(served) if file.endswith('.json')}
    assert files(served) - manifests == {
        file['Path'] for backup in found for file in backup['Files']
    }
    assert len(manifests) == len(found)
    answer = served.wait(requests.post(url_of(served), json={}, timeout=60))
    parent = answer.json()['Links']['Parent']['@odata.id']
    assert parent == found[-1]['@odata.id']


@pytest.mark.parametrize('step', behaviour.STEPS['restore'])
def test_a_killed_restore_is_whole_or_gone(served, step):
    """No half of a system."""
    served.restart('--fake-die', f'restore:{step}')
    (backup,) = backups(served)
    action = backup['Actions']['#HawkFishBackup.Restore']['target']
    # It may die before it has answered.
    with contextlib.suppress(requests.RequestException):
        requests.post(served.url + action, json={'Name': 'new'}, timeout=60)
    served.wait_dead()

    served.restart()
    served.wait_ended()

    assert len(systems(served)) == 1 + (step == 'finish')
