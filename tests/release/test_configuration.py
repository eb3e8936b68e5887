# SPDX-License-Identifier: Apache-2.0
"""An emulator whose configuration of the plugin is invalid."""

import json

import pytest
import requests

from tests.served import FAKE_UUID, Served, message_ids

ROOT = '/redfish/v1'


@pytest.fixture
def broken(tmp_path):
    made = Served(tmp_path, OS_TASKS__WORKERS='many')
    yield made.start()
    made.stop()


@pytest.mark.parametrize(
    'path', ['', '/Systems', '/Managers', f'/Systems/{FAKE_UUID}']
)
def test_the_emulator_itself_is_served(broken, path):
    """What is the emulator's does not need the plugin."""
    assert requests.get(f'{broken.url}{ROOT}{path}', timeout=60).ok


def test_what_is_ours_tells_why(broken):
    """It is not there, and the reason is the configuration."""
    refused = broken.post_create(FAKE_UUID, Name='s')

    assert (refused.status_code, message_ids(refused)) == (
        503,
        ['ConfigurationInvalid'],
    )


def test_a_probe_hears_that_nothing_can_be_done(broken):
    """Without a valid configuration the service is not healthy."""
    response = requests.get(f'{broken.url}/healthz', timeout=60)

    assert (response.status_code, response.json()['status']) == (
        503,
        'Critical',
    )


def test_logs_are_json_where_wanted(tmp_path):
    """Each line is an object: the server's, and those of our tasks."""
    served = Served(tmp_path, OS_MONITORING__JSON_LOGS='true').start()
    try:
        served.create(FAKE_UUID, Name='logged')
        # Werkzeug prints what is not found in yellow.
        assert (
            requests.get(f'{served.url}/nope', timeout=60).status_code == 404
        )
        lines = (tmp_path / 'log').read_text().splitlines()
    finally:
        served.stop()

    entries = [json.loads(line) for line in lines if line[:1] == '{']
    # The web server says where it listens before it serves anything.
    assert len(entries) > len(lines) - 5, lines
    assert {'hawkfish_plugin', 'werkzeug'} <= {
        entry['logger'].partition('.')[0] for entry in entries
    }
    assert {'time', 'level', 'logger', 'process', 'message'} <= set(entries[0])
    assert any('GET /nope' in entry['message'] for entry in entries)
    assert '\x1b' not in ''.join(entry['message'] for entry in entries)
