# SPDX-License-Identifier: Apache-2.0
"""The drawings of the documentation, compared with the rules of the code."""

import pathlib
import re
import sys
import textwrap

import pytest

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import merging
from hawkfish_plugin.retention import rules

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = {'hour': 3600, 'days': 86_400}
DRAWING = re.compile(
    r'^\.\. tree:: (?:.+\n)(?: +\S.*\n)*\n((?: {3}.*\n)+)', re.MULTILINE
)


@pytest.fixture
def trees(monkeypatch):
    """The extension that draws."""
    monkeypatch.syspath_prepend(str(ROOT / 'doc/ext'))
    import trees

    yield trees
    sys.modules.pop('trees')


def drawings(trees, page):
    """The rows of each drawing of *page*."""
    text = (ROOT / 'doc/source/user' / page).read_text()
    return [
        trees.read(textwrap.dedent(block).splitlines())
        for block in DRAWING.findall(text)
    ]


def snapshots(rows):
    """What is drawn, as the driver lists it: the oldest first."""
    (system,) = [row for row in rows if row.kind == 'system']
    return sorted(
        (
            contract.Snapshot(
                row.name,
                '',
                _created(row),
                'Off',
                False,
                True,
                row.parent and row.parent.name,
                row is system.parent,
            )
            for row in rows
            if row is not system
        ),
        key=lambda one: one.created,
    )


def _created(row):
    age = re.match(r'(\d+) (\w+) old', row.note)
    return -int(age[1]) * SECONDS[age[2]] if age else row.number


def test_what_can_be_deleted(trees):
    """The marks of the drawing are what the rule of merging says."""
    rows = drawings(trees, 'limits.rst')[0]

    kept = merging.referrers(snapshots(rows))

    assert len(rows) > 5
    for row in rows:
        if row.kind != 'system':
            assert row.kind == ('no' if row.name in kept else 'yes'), row
            assert row.note.startswith('no:' if row.name in kept else 'yes:')


def test_what_is_pruned(trees):
    """The policy deletes what the drawing says, in this order."""
    (rows,) = drawings(trees, 'retention.rst')
    notes = {row.name: row.note for row in rows}
    subjects = [
        rules.Subject(
            one, keep=(rules.LOCKED,) if 'locked' in notes[one.name] else ()
        )
        for one in snapshots(rows)
    ]

    plan = rules.plan(
        subjects, rules.Limits(snapshots=3), 0, merging.referrers
    )

    first, second = [name for name, _ in plan.pruned]
    assert 'goes first' in notes[first]
    assert 'goes second' in notes[second]
    assert all('stays' in notes[name] for name in plan.kept)
    assert {row.name for row in rows if row.kind == 'yes'} == {first, second}
