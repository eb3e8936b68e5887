# SPDX-License-Identifier: Apache-2.0
"""Random rounds for some minutes; thousands of them with ``make stress``."""

import os
import random

import pytest

from tests.functional.stress.rounds import run
from tests.lab import roots

# None where nobody asks for it, until more rounds than now have been quiet;
# about 3 fit into ``make test``.
MINUTES = float(os.environ.get('HAWKFISH_STRESS_MINUTES', '0'))
# What ends the run is the time.
_MANY = 10**6


@pytest.mark.once
@pytest.mark.timeout(MINUTES * 60 + 900)
def test_random_rounds(host):
    """Whatever is done or killed: no byte, no file and no task is lost."""
    if not MINUTES:
        pytest.skip('HAWKFISH_STRESS_MINUTES is 0')
    if host.release != roots.default()[0]:
        pytest.skip('one release is enough for what takes minutes')
    seed = random.SystemRandom().randrange(_MANY)

    # It raises what is wrong, with the seed.
    print(run(host.release, seed, _MANY, 1, MINUTES * 60, print))
