# SPDX-License-Identifier: Apache-2.0
"""A few rounds of the stress test; more of them by hand."""

import pytest

from tests.functional import stress

pytestmark = pytest.mark.once

ROUNDS = 8


def test_random_rounds(host, make_system, emulator, external):
    """Whatever is killed and when: no byte, no file and no task is lost."""
    if not external:
        pytest.skip('it cannot be told how an internal revert ended')

    tested = stress.Stress(host, emulator, make_system(), seed=1)

    stress.run(tested, ROUNDS, print)
