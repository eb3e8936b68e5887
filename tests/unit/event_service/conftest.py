# SPDX-License-Identifier: Apache-2.0
"""The event service of the served emulator."""

import pytest


@pytest.fixture
def recorded(emulator):
    """What has been recorded since the beginning of the test."""
    table = emulator.services.events
    begin = table.newest()

    def look():
        return table.after(begin, 1000)

    return look
