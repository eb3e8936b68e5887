# SPDX-License-Identifier: Apache-2.0
"""
Looks at the hypervisor that nobody waits long for.

A list of tasks says more with such a look, but is right without it.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from hawkfish_plugin import exceptions

T = TypeVar('T')

_SECONDS = 2.0


class Looks:
    """One look at a time; while it is late, no other one is begun."""

    def __init__(self) -> None:
        self._late = threading.Lock()

    def ask(self, of: str, call: Callable[[], T]) -> T:
        """
        What *call* says of *of*.

        Raises what it does, and NotAnswering where it does not answer in time.
        """
        if not self._late.acquire(timeout=_SECONDS):
            raise exceptions.NotAnswering(of, _SECONDS)
        answered = threading.Event()
        answers = list[T | exceptions.HawkFishError]()

        def look() -> None:
            try:
                answers.append(call())
            except exceptions.HawkFishError as exc:
                answers.append(exc)
            finally:
                self._late.release()
                answered.set()

        threading.Thread(
            target=look, name='hawkfish-look', daemon=True
        ).start()
        if not answered.wait(_SECONDS) or not answers:
            raise exceptions.NotAnswering(of, _SECONDS)
        if isinstance(answers[0], exceptions.HawkFishError):
            raise answers[0]
        return answers[0]
