# SPDX-License-Identifier: Apache-2.0
"""The policy, over random trees, limits, ages, locks and references."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt.merging import referrers
from hawkfish_plugin.retention import rules
from hawkfish_plugin.retention.rules import Limits, Subject
from tests.unit import trees
from tests.unit.trees import NOW

many = settings(max_examples=300, deadline=None)


class Tree:
    """
    What a driver makes of deletes, said again in other words.

    Files, and not sums: every snapshot owns its memory, and the file of its
    disks at that time; merging writes into the file below.
    """

    def __init__(self, subjects):
        self.parents = {s.name: s.record.parent for s in subjects}
        self.own = {s.name: s.size.own for s in subjects}
        self.files = {s.name: s.size.disks for s in subjects}
        self.current = next(
            (s.name for s in subjects if s.record.current), None
        )

    def children(self, name):
        return [n for n, parent in self.parents.items() if parent == name]

    def path(self):
        """The snapshots from the current one up to the first."""
        found, name = [], self.current
        while name is not None:
            found.append(name)
            name = self.parents[name]
        return found

    def may_be_deleted(self, name):
        children, path = self.children(name), self.path()
        return not children or (len(children) == 1 and name in path[1:])

    def delete(self, name):
        assert self.may_be_deleted(name)
        parent = self.parents.pop(name)
        for child in [n for n, p in self.parents.items() if p == name]:
            self.parents[child] = parent
            self.files[child] += self.files[name]
            if parent is None:
                self.files[child] = 0
        if self.current == name:
            self.current = parent
        del self.own[name], self.files[name]

    def total(self):
        return sum(self.own.values()) + sum(self.files.values())


def has_room(tree, limits):
    """Whether a system keeps to its number and bytes."""
    return not (
        (limits.snapshots and len(tree.parents) > limits.snapshots)
        or (limits.size and tree.total() > limits.size)
    )


def is_young(tree, subjects, limits):
    """Whether a system has nothing that is too old."""
    return not any(
        is_old(s, limits) for s in subjects if s.name in tree.parents
    )


def is_met(tree, subjects, limits):
    return has_room(tree, limits) and is_young(tree, subjects, limits)


def is_old(subject, limits):
    age = NOW - subject.record.created
    return (subject.expires is not None and subject.expires <= NOW) or (
        limits.age and age >= limits.age
    )


def free(subjects):
    """The names that may go at all, whatever the tree says."""
    return {s.name for s in subjects[:-1] if not s.keep}


def old(subjects, limits):
    return {s.name for s in subjects if is_old(s, limits)}


def outcomes(subjects, allowed):
    """What is left of every set of *allowed* that libvirt could delete."""
    seen, waiting = set(), [()]
    while waiting:
        order = waiting.pop()
        if frozenset(order) in seen:
            continue
        seen.add(frozenset(order))
        tree = Tree(subjects)
        for name in order:
            tree.delete(name)
        yield tree
        waiting += [
            (*order, name)
            for name in allowed
            if name in tree.parents and tree.may_be_deleted(name)
        ]


@many
@given(trees.subjects(), trees.limits)
def test_never_touches_what_it_may_not(subjects, limits):
    """What goes was free to go, in this order, and for a reason that holds."""
    planned = rules.plan(subjects, limits, NOW, referrers)

    by_name = {s.name: s for s in subjects}
    tree = Tree(subjects)
    for name, reason in planned.pruned:
        assert not by_name[name].keep
        assert by_name[name] is not subjects[-1]
        assert not is_met(tree, subjects, limits)
        if reason in (rules.EXPIRED, rules.MAX_AGE):
            assert is_old(by_name[name], limits)
        tree.delete(name)
    assert set(planned.kept) == set(tree.parents)


@many
@given(trees.subjects(), trees.limits)
def test_reaches_the_limit_where_that_is_possible(subjects, limits):
    """Whatever order of deletes would reach the limits, the plan does."""
    planned = rules.plan(subjects, limits, NOW, referrers)
    tree = Tree(subjects)
    for name, _ in planned.pruned:
        tree.delete(name)

    may_go = free(subjects)
    # What is young goes for the room it takes, and for nothing else.
    if any(
        is_young(left, subjects, limits)
        for left in outcomes(subjects, may_go & old(subjects, limits))
    ):
        assert is_young(tree, subjects, limits)
    if any(has_room(left, limits) for left in outcomes(subjects, may_go)):
        assert has_room(tree, limits)
    assert is_met(tree, subjects, limits) is (not planned.unmet)


@many
@given(trees.subjects(), trees.limits)
def test_nothing_goes_in_vain(subjects, limits):
    """Without the last delete of a plan a limit would still be broken."""
    planned = rules.plan(subjects, limits, NOW, referrers)

    tree = Tree(subjects)
    for name, _ in planned.pruned[:-1]:
        tree.delete(name)

    if planned.pruned:
        assert not is_met(tree, subjects, limits)


@many
@given(trees.subjects(), trees.limits)
def test_a_second_look_finds_nothing(subjects, limits):
    """What a plan leaves is what it would leave again."""
    planned = rules.plan(subjects, limits, NOW, referrers)
    leaving = {name for name, _ in planned.pruned}

    again = rules.plan(
        [dataclasses.replace(s, leaving=s.name in leaving) for s in subjects],
        limits,
        NOW,
        referrers,
    )

    assert again == dataclasses.replace(planned, pruned=())


@many
@given(trees.subjects(), st.integers(1, 5))
def test_a_refused_create_is_one_too_many(subjects, most):
    """Where it would break a limit a create is refused, and names the way."""
    limits = Limits(snapshots=most, on_limit=rules.REFUSE)

    found = rules.exceeded(subjects, limits, contract.Size())

    assert bool(found) is (len(subjects) >= most)
    tree = Tree(subjects)
    for name in rules.deletable(subjects, referrers):
        assert tree.may_be_deleted(name)


def snapshot(name, parent=None, current=False, **fields):
    record = contract.Snapshot(
        name, '', NOW - 100, 'On', True, True, parent, current
    )
    return Subject(record, **fields)


CHAIN = [snapshot('a'), snapshot('b', 'a'), snapshot('c', 'b', current=True)]


def test_oldest_first():
    """Of a chain the oldest go, and the reason is told."""
    planned = rules.plan(CHAIN, Limits(snapshots=1), NOW, referrers)

    assert planned.pruned == (
        ('a', rules.MAX_SNAPSHOTS),
        ('b', rules.MAX_SNAPSHOTS),
    )
    assert planned.kept == {'c': (rules.NEWEST,)}


@pytest.mark.parametrize(
    'reason',
    [rules.LOCKED, rules.CLONED, rules.BUSY, rules.DAMAGED],
)
def test_why_one_stays(reason):
    """A snapshot that stays has its reason, and the next one goes for it."""
    first = dataclasses.replace(CHAIN[0], keep=(reason,))

    planned = rules.plan(
        [first, *CHAIN[1:]], Limits(snapshots=2), NOW, referrers
    )

    assert [name for name, _ in planned.pruned] == ['b']
    assert planned.kept['a'] == (reason,)


def test_the_one_that_others_grow_from_stays():
    """After a revert to the oldest, its branch goes before it could."""
    tree = [
        snapshot('root', current=True),
        snapshot('b', 'root'),
        snapshot('c', 'b'),
        snapshot('d', 'root'),
    ]

    planned = rules.plan(tree, Limits(snapshots=1), NOW, referrers)

    assert [name for name, _ in planned.pruned] == ['c', 'b']
    assert planned.kept['root'] == (rules.REFERENCED,)
    assert planned.unmet == (rules.MAX_SNAPSHOTS,)


def test_what_is_being_created_counts_for_nothing():
    """A create that may fail takes the place of no other snapshot."""
    coming = snapshot('d', 'c', current=True, pending=True, keep=(rules.BUSY,))
    before = [*CHAIN[:2], snapshot('c', 'b'), coming]

    planned = rules.plan(before, Limits(snapshots=1), NOW, referrers)

    assert [name for name, _ in planned.pruned] == ['a', 'b']
    assert planned.kept['c'] == (rules.NEWEST,)


def test_refusing_prunes_by_age_alone():
    """With on_limit Refuse nothing goes for its number."""
    old = dataclasses.replace(CHAIN[0], expires=NOW)
    limits = Limits(snapshots=1, on_limit=rules.REFUSE)

    planned = rules.plan([old, *CHAIN[1:]], limits, NOW, referrers)

    assert planned.pruned == (('a', rules.EXPIRED),)


def test_a_thousand_snapshots_are_planned_quickly():
    """The policy keeps up with the longest chains."""
    chain = [snapshot('0')] + [
        snapshot(str(n), str(n - 1), current=n == 999) for n in range(1, 1000)
    ]

    planned = rules.plan(chain, Limits(snapshots=900), NOW, referrers)

    assert len(planned.pruned) == 100
