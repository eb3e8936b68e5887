# SPDX-License-Identifier: Apache-2.0
"""
What makes a system unsafe, as events.

Owns when ``SystemUnsafe`` is recorded: where a request or a task is refused
for it, or an operation that was interrupted leaves it behind.  Once for each
finding, not for each request that meets it.
"""

import contextlib
import threading
from collections.abc import Iterator

import cachetools

from hawkfish_plugin import attention, events, exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.operations import events as lifecycle

# A finding that nobody has minded for so long is recorded once more.
_REMEMBERED_SECONDS = 86400.0
_MOST_REMEMBERED = 10_000


class Findings:
    """
    What makes the systems of *driver* unsafe, or has left them half changed.

    Each process remembers by itself what it has recorded.
    """

    def __init__(
        self,
        driver: contract.Driver,
        event_table: events.Events,
        noted: attention.Attention,
    ) -> None:
        self._driver = driver
        self._events = event_table
        self._noted = noted
        self._lock = threading.Lock()
        self._told: cachetools.TTLCache[tuple[str, str], bool] = (
            cachetools.TTLCache(_MOST_REMEMBERED, _REMEMBERED_SECONDS)
        )

    def check_start(self, system: contract.System) -> None:
        """Raise, and record, what a start of *system* would destroy."""
        exceptions.check(self._noted.findings(system.uuid))
        if isinstance(self._driver, contract.FindsUnsafe):
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
    def settling(self, system: contract.System) -> Iterator[None]:
        """The same; record besides what *system* is left with."""
        with self.telling(system):
            try:
                yield
            except exceptions.Unavailable:
                # It goes on later.
                raise
            except exceptions.HawkFishError:
                self._look(system)
                raise
            self._look(system)

    def mended(self, system: contract.System) -> None:
        """Whatever is found from now on is another finding."""
        with self._lock:
            for key in [key for key in self._told if key[0] == system.uuid]:
                del self._told[key]

    def _look(self, system: contract.System) -> None:
        if not isinstance(self._driver, contract.FindsUnsafe):
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
