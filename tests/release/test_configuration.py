# SPDX-License-Identifier: Apache-2.0
"""An emulator whose configuration of the plugin is invalid."""

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
