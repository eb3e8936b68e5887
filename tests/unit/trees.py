# SPDX-License-Identifier: Apache-2.0
"""
Random systems with snapshots, for tests of the policy.

A history is a list of steps of a system: 'create', or the number of the
snapshot to go back to.  The same histories are played on records here and on
real hypervisors in the functional tests.
"""

import dataclasses
from collections.abc import Sequence

from hypothesis import strategies as st

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.retention import rules

CREATE = 'create'
NOW = 1_000_000


def histories(most: int) -> st.SearchStrategy[list[str | int]]:
    """Up to *most* creates, with reverts in between."""
    step = st.one_of(st.just(CREATE), st.integers(0, 20))
    return st.lists(step, max_size=2 * most).map(
        lambda steps: _with_few_creates(steps, most)
    )


def _with_few_creates(
    steps: Sequence[str | int], most: int
) -> list[str | int]:
    kept: list[str | int] = []
    for step in steps:
        made = kept.count(CREATE)
        if step != CREATE and made:
            kept.append(int(step) % made)
        elif step == CREATE and made < most:
            kept.append(step)
    return kept


def play(history: Sequence[str | int]) -> list[contract.Snapshot]:
    """The snapshots that *history* leaves, named by their numbers."""
    made: list[contract.Snapshot] = []
    current: str | None = None
    for step in history:
        if step == CREATE:
            name = str(len(made))
            made.append(
                contract.Snapshot(
                    name,
                    '',
                    NOW - 1000 + 10 * len(made),
                    'Off',
                    False,
                    True,
                    parent=current,
                )
            )
            current = name
        else:
            current = str(step)
    return [dataclasses.replace(s, current=s.name == current) for s in made]


KEEP = st.sampled_from(
    [
        (),
        (),
        (),
        (rules.LOCKED,),
        (rules.CLONED,),
        (rules.BUSY,),
        (rules.DAMAGED,),
    ]
)


@st.composite
def subjects(draw: st.DrawFn, most: int = 6) -> list[rules.Subject]:
    """The snapshots of one system, as the policy sees them."""
    return [
        rules.Subject(
            dataclasses.replace(
                record, power_state=draw(st.sampled_from(['Off', 'On']))
            ),
            contract.Size(
                draw(st.integers(0, 4)),
                draw(st.integers(0, 4)) if record.parent else 0,
            ),
            draw(st.none() | st.sampled_from([NOW - 1, NOW, NOW + 1])),
            draw(KEEP),
        )
        for record in play(draw(histories(most)))
    ]


limits = st.builds(
    rules.Limits,
    snapshots=st.integers(0, 4),
    age=st.sampled_from([0, 950, 980, 5000]),
    size=st.integers(0, 20),
)
