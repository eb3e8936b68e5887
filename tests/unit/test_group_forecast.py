# SPDX-License-Identifier: Apache-2.0
"""What all systems of a group need together."""

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.contract import Forecast, Size
from hawkfish_plugin.groups import forecast

GIB = 2**30


def needing(*needs):
    return Forecast(True, True, Size(own=GIB), needs)


def test_what_one_folder_needs_is_added_up():
    """Each system would have had enough, all of them do not."""
    forecasts = [needing(('/a', 3 * GIB, 5 * GIB))] * 2

    assert forecast.total_needs(forecasts) == [('/a', 6 * GIB, 5 * GIB)]
    with pytest.raises(exceptions.InsufficientSpace):
        forecast.check_space(forecasts)


def test_folders_of_one_file_system_share_what_is_free():
    """They are known by it: what is free in both is the same."""
    forecasts = [
        needing(('/a', 3 * GIB, 5 * GIB)),
        needing(('/b', 3 * GIB, 5 * GIB - 2**20)),
    ]

    assert forecast.total_needs(forecasts) == [
        ('/a, /b', 6 * GIB, 5 * GIB - 2**20)
    ]


def test_file_systems_are_counted_each_by_itself():
    """What is free in one helps none in another."""
    forecasts = [
        needing(('/a', 3 * GIB, 5 * GIB)),
        needing(('/b', 3 * GIB, 4 * GIB)),
    ]

    forecast.check_space(forecasts)
    assert len(forecast.total_needs(forecasts)) == 2


def test_memory_is_that_of_what_runs():
    """A system that is off has none to save."""
    off = Forecast(True, False, Size(own=GIB))

    assert forecast.memory([needing(), off]) == GIB
