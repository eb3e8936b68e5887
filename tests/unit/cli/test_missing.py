# SPDX-License-Identifier: Apache-2.0
"""What the ``hawkfish`` command says of a name that nothing has."""

import pytest


@pytest.mark.parametrize(
    'words, told',
    [
        (
            ['snaps-create', 'nosuch'],
            "There is no system 'nosuch'. There are: fake, node-0",
        ),
        (
            ['snaps-ls', 'nosuch'],
            "There is no system 'nosuch'. There are: fake, node-0",
        ),
        (
            ['snaps-revert', 'fake', 'nope'],
            "There is no snapshot 'nope' of system 'fake'. There are: clean.",
        ),
        (
            ['snapshot', 'show', 'fake', 'nope'],
            "There is no snapshot 'nope' of system 'fake'. There are: clean.",
        ),
        (['group', 'show', 'lab'], "There is no group 'lab'."),
        (['task', 'show', '424242'], 'There is no task 424242.'),
        (
            ['backup', 'show', 'fake', '77'],
            "There is no backup '77' of system 'fake'.",
        ),
        (
            ['backup', 'delete', 'nosuch', '77'],
            "There is no system 'nosuch'. There are: fake, node-0",
        ),
        (
            ['subscription', 'show', 'nope'],
            "There is no subscription 'nope'.",
        ),
        (
            ['subscription', 'delete', 'nope'],
            "There is no subscription 'nope'.",
        ),
    ],
)
def test_a_name_that_nothing_has(hawkfish, emulator, words, told):
    """Which one it is, and what there is."""
    emulator.created(Name='clean')

    status, out, err = hawkfish(*words)

    assert (status, out) == (1, '')
    assert err.startswith(told)


def test_a_group_snapshot_that_is_none(hawkfish, emulator):
    status, _, _ = hawkfish('group', 'create', 'lab', 'fake')
    assert status == 0
    try:
        _, _, err = hawkfish('group', 'snapshot', 'show', 'lab', 'nope')
    finally:
        hawkfish('group', 'delete', 'lab')

    assert err.strip() == "There is no snapshot 'nope' of group 'lab'."
