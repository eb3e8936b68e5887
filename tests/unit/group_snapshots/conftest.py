# SPDX-License-Identifier: Apache-2.0
"""A group of systems whose snapshots are taken over HTTP."""

import pytest

from tests.unit.group_snapshots.labs import TRIO, Snapshots


@pytest.fixture
def lab(emulator) -> Snapshots:
    lab = Snapshots(emulator)
    lab.create(*TRIO, Name='lab')
    return lab
