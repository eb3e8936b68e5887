# SPDX-License-Identifier: Apache-2.0
"""Which snapshots can be deleted, on trees of every kind."""

import dataclasses

import hypothesis
from hypothesis import strategies as st

from hawkfish_plugin import tree
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import merging


def snapshot(name, parent, **fields):
    told = {'power_state': contract.ON, 'external': True, **fields}
    return contract.Snapshot(
        name, '', int(name), memory=False, parent=parent, **told
    )


@st.composite
def trees(draw):
    """Trees of snapshots; each grows from an earlier one, or from nothing."""
    made = []
    for number in range(draw(st.integers(1, 12))):
        parents = [None, *(s.name for s in made)]
        state = draw(st.sampled_from((contract.ON, contract.OFF)))
        made.append(
            snapshot(
                str(number),
                draw(st.sampled_from(parents)) if made else None,
                power_state=state,
                external=draw(st.booleans()),
            )
        )
    current = draw(st.sampled_from([None, *range(len(made))]))
    return [
        dataclasses.replace(s, current=s.name == str(current)) for s in made
    ]


@hypothesis.given(trees())
def test_one_can_always_be_deleted(snapshots):
    """In every tree there is a snapshot that nothing keeps."""
    kept = merging.referrers(snapshots)

    assert any(s.name not in kept for s in snapshots)


@hypothesis.given(trees())
def test_only_those_that_others_grow_from_are_kept(snapshots):
    """What keeps a snapshot grows from it, near or far."""
    below = tree.children(snapshots)
    for name, keeping in merging.referrers(snapshots).items():
        assert keeping
        assert set(keeping) <= set(tree.descendants(below, name))


@hypothesis.given(trees())
def test_leaves_and_internal_ones_can_go(snapshots):
    """Neither a leaf nor an internal snapshot is ever kept."""
    below, kept = tree.children(snapshots), merging.referrers(snapshots)

    assert not [s for s in snapshots if s.name not in below if s.name in kept]
    assert not [s for s in snapshots if not s.external if s.name in kept]


@hypothesis.given(trees())
def test_a_tree_can_be_deleted_whole(snapshots):
    """Deleting whatever can be, one after the other, ends with nothing."""
    while snapshots:
        kept = merging.referrers(snapshots)
        gone = next(s for s in snapshots if s.name not in kept)
        snapshots = [
            dataclasses.replace(
                s,
                parent=gone.parent if s.parent == gone.name else s.parent,
                current=s.current or (gone.current and s.name == gone.parent),
            )
            for s in snapshots
            if s is not gone
        ]


def test_a_chain_is_merged_from_anywhere():
    """On a single branch every snapshot can be deleted."""
    chain = [
        snapshot('0', None),
        snapshot('1', '0'),
        snapshot('2', '1', current=True),
    ]

    assert merging.referrers(chain) == {}


def test_a_fork_is_kept():
    """What two branches grow from is kept by both."""
    fork = [
        snapshot('0', None),
        snapshot('1', '0'),
        snapshot('2', '0', current=True),
    ]

    assert merging.referrers(fork) == {'0': ['1', '2']}


def test_another_branch_is_kept():
    """Beside the current branch only leaves can be deleted."""
    beside = [
        snapshot('0', None),
        snapshot('1', '0'),
        snapshot('2', '1'),
        snapshot('3', '0', current=True),
    ]

    assert merging.referrers(beside)['1'] == ['2']


def test_a_branch_further_up_keeps_nothing():
    """What grows aside from above a snapshot is in nobody's way."""
    snapshots = [
        snapshot('0', None),
        snapshot('1', '0', power_state=contract.OFF),
        snapshot('2', '1'),
        snapshot('3', '1', current=True),
    ]

    assert merging.referrers(snapshots) == {'1': ['2', '3']}
