# SPDX-License-Identifier: Apache-2.0
"""Which systems all emulators of a state folder may serve."""

import fcntl

import pytest

from hawkfish_plugin.allowed import AllowLists
from hawkfish_plugin.drivers.contract import System

SYSTEM = System('uuid', 'name')


@pytest.mark.parametrize(
    'text, is_told',
    [
        ('null', True),
        ('["uuid"]', True),
        ('["other"]', False),
        ('', False),
        ('["uuid"', False),
        ('{"uuid": 1}', False),
        ('"uuid"', False),
    ],
)
def test_what_cannot_be_read_allows_nothing(tmp_path, text, is_told):
    """A list that another emulator goes by, and that is damaged."""
    path = tmp_path / 'serves-other.json'
    path.write_text(text)
    lists = AllowLists(tmp_path, lambda: None)

    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)

        assert lists.is_served_by_all(SYSTEM) is is_told
        assert lists.is_served(SYSTEM)
    assert lists.is_served_by_all(SYSTEM)
