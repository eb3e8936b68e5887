# SPDX-License-Identifier: Apache-2.0
"""
What makes a system unsafe, as events.

Owns when ``SystemUnsafe`` is recorded: where a request or a task is refused
for it, or an operation that was interrupted leaves it behind.  Once for each
finding, not for each request that meets it.  And when it is not believed:
while a task changes the system.
"""

import contextlib
import threading
from collections.abc import Iterator

import cachetools

from hawkfish_plugin import events, exceptions, messages
from hawkfish_plugin.drivers import contract, sharing
from hawkfish_plugin.operations import events as lifecycle
from hawkfish_plugin.tasks.reading import TaskReader

# A finding that nobody has minded for so long is recorded once more.
_REMEMBERED_SECONDS = 86400.0
_MOST_REMEMBERED = 10_000

# What a task makes of a system while it works on it.
_PASSING = exceptions.Unsafe, exceptions.BlockJobActive


class Findings:
    """
    What makes the systems of *driver* unsafe, or has left them half changed.

    Each process remembers by itself what it has recorded.
    """

    def __init__(
        self,
        driver: contract.Driver,
        event_table: events.Events,
        task_table: TaskReader,
    ) -> None:
        self._driver = driver
        self._events = event_table
        self._tasks = task_table
        self._lock = threading.Lock()
        self._told: cachetools.TTLCache[tuple[str, str], bool] = (
            cachetools.TTLCache(_MOST_REMEMBERED, _REMEMBERED_SECONDS)
        )

    def check_start(self, system: contract.System) -> None:
        """Raise, and record, what a start of *system* would destroy."""
        exceptions.check(self._tasks.attention.findings(system.uuid))
        if isinstance(self._driver, sharing.FindsUnsafe):
            with self.telling(system):
                self._driver.check_start(system.uuid)

    @contextlib.contextmanager
    def telling(self, system: contract.System) -> Iterator[None]:
        """Record what the block is refused for, and raise it again."""
        try:
            yield
        except exceptions.HawkFishError as exc:
            self._tell(system, exc)
            raise

    @contextlib.contextmanager
    def telling_at_request(self, system: contract.System) -> Iterator[None]:
        """
        The same, but end the block where a task is the cause.

        What is read of a system that a task changes, one after the other,
        need not fit together.  All of it is looked at again when the turn of
        what is requested comes.
        """
        before = self._is_changing(system)
        try:
            yield
        except exceptions.HawkFishError as exc:
            if before or self._is_changing(system):
                exceptions.check(
                    [
                        part
                        for part in exc.parts
                        if not isinstance(part, _PASSING)
                    ]
                )
                return
            self._tell(system, exc)
            raise

    def _is_changing(self, system: contract.System) -> bool:
        """Whether a task works on *system*, or will."""
        return bool(self._tasks.active(system.uuid))

    def mended(self, system: contract.System) -> None:
        """Whatever is found from now on is another finding."""
        with self._lock:
            for key in [key for key in self._told if key[0] == system.uuid]:
                del self._told[key]

    def look(self, system: contract.System) -> None:
        """Record what a task has left *system* with, which it has locked."""
        if not isinstance(self._driver, sharing.FindsUnsafe):
            return
        # Who looks for it next finds it as well.
        with contextlib.suppress(exceptions.HawkFishError):
            for found in self._driver.violations(system.uuid):
                self._tell(system, found)

    def _tell(
        self, system: contract.System, error: exceptions.HawkFishError
    ) -> None:
        for part in error.parts:
            if isinstance(part, exceptions.Unsafe) and self._is_new(
                system, part
            ):
                with contextlib.suppress(exceptions.StateUnavailable):
                    self._events.submit(lifecycle.unsafe(system, part))

    def _is_new(
        self, system: contract.System, finding: exceptions.Unsafe
    ) -> bool:
        key = system.uuid, messages.text(finding)
        with self._lock:
            is_new = key not in self._told
            self._told[key] = True
            return is_new
