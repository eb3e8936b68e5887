# SPDX-License-Identifier: Apache-2.0
"""The policy of the served system, as tests set it."""

import pytest
import requests

from hawkfish_plugin.drivers import contract


@pytest.fixture
def policy(emulator):
    """Where the policy is; it is the configuration's again afterwards."""
    uri = emulator.snapshots_url.replace('Snapshots', 'SnapshotPolicy')
    yield uri
    requests.patch(
        uri,
        json=dict.fromkeys(
            ('MaxSnapshots', 'MaxAgeSeconds', 'MaxBytes', 'OnLimit')
        ),
    )


@pytest.fixture
def switched_on(emulator):
    """The system runs, so that its snapshots have memory, and a size."""
    emulator.behaviour.power_state = contract.ON
