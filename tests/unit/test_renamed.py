# SPDX-License-Identifier: Apache-2.0
"""What is noted of a snapshot follows it when ``virsh`` renames it."""

import dataclasses

import pytest
import requests

from hawkfish_plugin import notes


@pytest.mark.parametrize(
    'noted, listed, found',
    [
        ([('a', 1)], [('a', 1)], []),
        ([('a', 1)], [('b', 1)], [(('a', 1), 'b')]),
        # Another one, of another second.
        ([('a', 1)], [('b', 2)], []),
        ([('a', 1), ('b', 2)], [('x', 1), ('y', 2)], None),
        # Deleted by others.
        ([('a', 1), ('b', 1)], [('b', 1)], []),
        # Two of one second: nobody can tell which is which.
        ([('a', 1), ('b', 1)], [('x', 1), ('y', 1)], []),
        ([('a', 1)], [('x', 1), ('y', 1)], []),
        ([('a', 1), ('b', 1)], [('x', 1)], []),
        # Of the two, one still has its name.
        ([('a', 1), ('b', 1)], [('a', 1), ('x', 1)], [(('b', 1), 'x')]),
        # A new one that nothing is noted of is no other's.
        ([('a', 1)], [('a', 1), ('x', 1)], []),
    ],
)
def test_what_was_renamed(noted, listed, found):
    """A snapshot is known by its time, where that is only its own."""
    expected = [(('a', 1), 'x'), (('b', 2), 'y')] if found is None else found

    assert notes.renamed(noted, listed) == expected


def test_a_renamed_snapshot(emulator):
    """Its lock, its expiry and how it was quiesced are still its own."""
    system = emulator.system
    for name, _ in emulator.notes.read(system):
        emulator.notes.forget(system, name)
    emulator.created(Name='old', Locked=True)
    (before,) = emulator.driver.snapshots(system)
    emulator.driver.plant(system, [dataclasses.replace(before, name='new')])

    shown = requests.get(f'{emulator.snapshots_url}/new', timeout=30).json()

    assert shown['Locked'] is True
    assert shown['QuiesceStatus'] == 'NotNeeded'
    changed = requests.patch(
        f'{emulator.snapshots_url}/new', json={'Locked': False}, timeout=30
    )
    assert changed.json()['Locked'] is False
    assert list(emulator.notes.read(system)) == [('new', before.created)]
