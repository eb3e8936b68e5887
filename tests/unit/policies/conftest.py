# SPDX-License-Identifier: Apache-2.0
"""The served system, as tests of its policy need it."""

import pytest

from hawkfish_plugin.drivers import contract


@pytest.fixture
def switched_on(emulator):
    """The system runs, so that its snapshots have memory, and a size."""
    emulator.behaviour.power_state = contract.ON
