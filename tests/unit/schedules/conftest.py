# SPDX-License-Identifier: Apache-2.0
"""The schedules of the emulator."""

import pytest

from tests.unit.schedules.clock import Service


@pytest.fixture
def service(emulator):
    made = Service(emulator)
    made.before = emulator.services.events.newest()
    yield made
    schedules = emulator.services.schedules
    for one in schedules.list():
        schedules.delete(one.name, lambda _: None)
