# SPDX-License-Identifier: Apache-2.0
"""
The modules community.general.redfish_*, run by ansible-playbook.

They come with the distribution ansible of PyPI.  They never check whose
certificate it is.
"""

import importlib.util
import os
import subprocess
import sys

import pytest
import yaml

from tests.clients.conftest import PASSWORD, USER
from tests.served import BIN, FAKE_UUID
from tests.validator.dmtf import environment

TASKS = [
    ('redfish_info', 'Systems', 'GetSystemInventory', {}),
    ('redfish_info', 'Systems', 'GetNicInventory', {}),
    ('redfish_info', 'Systems', 'GetBootOverride', {}),
    ('redfish_info', 'Chassis', 'GetChassisInventory', {}),
    ('redfish_info', 'Chassis', 'GetChassisThermals', {}),
    ('redfish_info', 'Manager', 'GetManagerInventory', {}),
    ('redfish_info', 'Sessions', 'GetSessions', {}),
    ('redfish_info', 'Service', 'CheckAvailability', {}),
    ('redfish_command', 'Systems', 'PowerOn', {}),
    (
        'redfish_command',
        'Systems',
        'SetOneTimeBoot',
        {'bootdevice': 'Pxe'},
    ),
    ('redfish_command', 'Systems', 'PowerForceOff', {}),
]

pytestmark = pytest.mark.skipif(
    not (
        importlib.util.find_spec('ansible_collections')
        or os.environ.get('ANSIBLE_COLLECTIONS_PATH')
    ),
    reason='community.general is not installed',
)


@pytest.mark.parametrize('kind', ['basic', 'session'])
def test_modules(direct_way, kind, tmp_path):
    """What they read and what they change goes well, each way to log in."""
    access = {
        'baseuri': direct_way.host,
        'username': USER,
        'password': PASSWORD,
    }
    tasks = []
    if kind == 'session':
        tasks.append(
            {
                'community.general.redfish_command': access
                | {'category': 'Sessions', 'command': 'CreateSession'},
                'register': 'opened',
            }
        )
        access = {
            'baseuri': direct_way.host,
            'auth_token': '{{ opened.session.token }}',
        }
    for module, category, command, more in TASKS:
        options = {'category': category, 'command': command, **access, **more}
        if module == 'redfish_command':
            options['resource_id'] = FAKE_UUID
        tasks.append({f'community.general.{module}': options})
    if kind == 'session':
        tasks.append(
            {
                'community.general.redfish_command': access
                | {
                    'category': 'Sessions',
                    'command': 'DeleteSession',
                    'session_uri': '{{ opened.session.uri }}',
                }
            }
        )
    play = {
        'hosts': 'localhost',
        'gather_facts': False,
        'vars': {'ansible_python_interpreter': sys.executable},
        'tasks': tasks,
    }
    (tmp_path / 'play.yaml').write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        [BIN / 'ansible-playbook', '-c', 'local', tmp_path / 'play.yaml'],
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **environment(),
            'ANSIBLE_HOME': str(tmp_path),
            'ANSIBLE_NOCOLOR': '1',
            'LC_ALL': 'C.UTF-8',
        },
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f'ok={len(tasks)}' in done.stdout
