# SPDX-License-Identifier: Apache-2.0
"""What recorded snapshots take."""

import pytest

from hawkfish_plugin.drivers.libvirt import sizes
from tests.unit.libvirt.recordings import CASES, Case


def measured(case, takes):
    return sizes.measure(
        case.seen, case.records(), case.disk_files(), takes.__getitem__
    )


def files(case):
    paths = [path for s in case.seen for path in s.own_files]
    return paths + [p for found in case.disk_files().values() for p in found]


@pytest.mark.parametrize('name', CASES)
def test_what_would_be_freed(name):
    """The snapshots that a delete would free are those that the host told."""
    case = Case(name)
    found = measured(case, dict.fromkeys(files(case), 10))
    recorded = case.inventory['sizes']

    assert {n: s.removable for n, s in found.items()} == {
        n: s['removable'] for n, s in recorded.items()
    }


def test_each_file_counts_once():
    """The memory is a snapshot's own; the first has no disks of its own."""
    case = Case('branches')
    takes = {path: 10**n for n, path in enumerate(files(case))}
    found = measured(case, takes)

    top = case.one('top')
    assert found['top'].own == takes[top.memory_file]
    assert found['top'].disks == sum(takes[d.path] for d in top.disks)
    assert found['base'].disks == 0
    assert found['base'].own == takes[case.one('base').memory_file]


def test_internal_ones_are_left_out():
    """An internal snapshot has no size."""
    assert measured(Case('internal'), {}) == {}
