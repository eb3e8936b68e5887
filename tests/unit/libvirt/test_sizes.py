# SPDX-License-Identifier: Apache-2.0
"""What recorded snapshots take, and how long that is remembered."""

import dataclasses

import pytest

from hawkfish_plugin.drivers.libvirt import sizes
from tests.unit.libvirt.recordings import CASES, Case


def measured(case, takes):
    return sizes.measure(case.seen, case.records(), case.disk_files(), takes)


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


@dataclasses.dataclass
class Folder:
    """Storage of one folder that counts how often it is looked at."""

    allocated: dict[str, int]
    looks: int = 0

    def allocations(self, folder, paths):
        self.looks += 1
        return {p: self.allocated[p] for p in paths if p in self.allocated}


def test_a_size_is_remembered_until_forgotten():
    """Until an operation ends, a size that is known is not looked for."""
    folder, seen = Folder({'/i/a': 1, '/i/b': 2}), sizes.Sizes()

    assert seen.of(folder, 'uuid', ['/i/a']) == {'/i/a': 1}
    assert seen.of(folder, 'uuid', ['/i/a']) == {'/i/a': 1}
    assert folder.looks == 1
    folder.allocated['/i/a'] = 5
    assert seen.of(folder, 'uuid', ['/i/b', '/i/a']) == {'/i/b': 2, '/i/a': 1}
    assert folder.looks == 2
    seen.forget('uuid')
    assert seen.of(folder, 'uuid', ['/i/a', '/i/c']) == {'/i/a': 5, '/i/c': 0}


def test_what_is_forgotten_while_it_is_looked_for():
    """A look that an operation overtakes is not remembered."""
    seen = sizes.Sizes()

    class Slow(Folder):
        def allocations(self, folder, paths):
            seen.forget('uuid')
            return super().allocations(folder, paths)

    folder = Slow({'/i/a': 1})
    seen.of(folder, 'uuid', ['/i/a'])
    folder.allocated['/i/a'] = 2

    assert seen.of(folder, 'uuid', ['/i/a']) == {'/i/a': 2}
