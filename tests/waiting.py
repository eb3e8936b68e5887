# SPDX-License-Identifier: Apache-2.0
"""
Waiting for what will come, and no longer.

Owns how long a test waits before it fails: so long that a machine which is
slow, or busy with other tests, fails none.
"""

import inspect
import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar('T')

# Of an idle machine; any other one is given more.
PATIENCE = 60.0
_PAUSE_SECONDS = 0.01


def patience(seconds: float = PATIENCE) -> float:
    """What *seconds* of an idle machine are on this one as busy as it is."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_for(
    condition: Callable[[], T],
    what: str | Callable[[], str] = '',
    seconds: float = PATIENCE,
    pause: float = _PAUSE_SECONDS,
) -> T:
    """
    Wait until *condition* returns what is true, and return that.

    *what* tells in a failure what was waited for; without it that is the text
    of *condition*.
    """
    begin = time.monotonic()
    while not (found := condition()):
        if time.monotonic() - begin > patience(seconds):
            told = what if isinstance(what, str) else what()
            raise AssertionError(
                f'waited in vain for: {told or inspect.getsource(condition)}'
            )
        time.sleep(pause)
    return found


def holds_for(condition: Callable[[], object], seconds: float) -> bool:
    """Whether *condition* is true for *seconds*, and never is not."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if not condition():
            return False
        time.sleep(_PAUSE_SECONDS)
    return True
