# SPDX-License-Identifier: Apache-2.0
"""Programs for Redfish: redfishtool, and the rf_ programs of the DMTF."""

import json
import subprocess
import sys

import pytest

from tests.clients.conftest import PASSWORD, SNAPSHOTS, SYSTEM, USER
from tests.served import BIN, FAKE_UUID
from tests.validator.dmtf import environment
from tests.waiting import patience

# What each of them does, and a part of what it prints.
PROGRAMS = {
    'rf_sys_inventory': ([], '3500RX'),
    'rf_power_reset': (['--type', 'ForceOff'], ''),
    'rf_boot_override': (['--target', 'Pxe'], 'Pxe'),
    'rf_event_service': (['info'], 'Event'),
    'rf_virtual_media': (['info'], 'Cd'),
    'rf_manager_config': (['info'], ''),
    'rf_sensor_list': ([], 'CPU Temp'),
    'rf_raw_request': (['--request', SYSTEM], FAKE_UUID),
}


def run(program, *options):
    return subprocess.run(
        [sys.executable, BIN / program, *options],
        capture_output=True,
        text=True,
        timeout=patience(120),
        env=environment(),
    )


@pytest.mark.parametrize('kind', ['Basic', 'Session'])
def test_redfishtool(direct_way, kind):
    """It creates a snapshot and deletes it; both end well."""
    access = (
        *('-r', direct_way.host, '-u', USER, '-p', PASSWORD),
        *('-A', kind, '-S', 'Always'),
    )

    def raw(method, path, *data):
        done = run('redfishtool', *access, 'raw', method, path, *data)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    raw('POST', SNAPSHOTS, '-d', json.dumps({'Name': 'tool'}))
    assert 'tool' in direct_way.names()
    assert json.loads(raw('GET', f'{SNAPSHOTS}/tool'))['Name'] == 'tool'
    raw('DELETE', f'{SNAPSHOTS}/tool')
    assert 'tool' not in direct_way.names()

    listed = run('redfishtool', *access, 'Systems', '-I', FAKE_UUID)
    assert FAKE_UUID in listed.stdout, listed.stderr


@pytest.mark.parametrize('program', PROGRAMS)
def test_rf_programs(direct_way, program):
    """They log in with a session, and do what they are for."""
    options, printed = PROGRAMS[program]
    done = run(
        f'{program}.py',
        *('-u', USER, '-p', PASSWORD, '-r', direct_way.url),
        *options,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert printed in done.stdout
