# SPDX-License-Identifier: Apache-2.0
"""
What the hypervisor has, for those who watch it.

Owns when that is read: by one thread, at most once a minute, and only as long
as somebody asks.  Whoever asks gets what was read last, so that a hypervisor
that does not answer delays nobody.
"""

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping

from hawkfish_plugin import exceptions
from hawkfish_plugin.catalogue import Catalogue
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.supervision import Failures, Supervisor

LOG = logging.getLogger(__name__)

_FRESH_SECONDS = 60.0
# A reading that takes longer than this is one of a hypervisor in trouble.
_SLOW_SECONDS = 60.0
_THREAD = 'survey'


@dataclasses.dataclass(frozen=True)
class Holding:
    """How many snapshots a system has, and their *size* in bytes."""

    snapshots: int
    size: int


@dataclasses.dataclass(frozen=True)
class Reading:
    """The systems by their power state, and what each holds."""

    power_states: Mapping[contract.System, str]
    holdings: Mapping[contract.System, Holding]


class Survey:
    """What *read* finds; see the module."""

    def __init__(
        self, read: Callable[[], Reading], supervisor: Supervisor
    ) -> None:
        self._read = read
        self._supervisor = supervisor
        self._failures = Failures(LOG)
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._last: Reading | None = None
        # Times of ``time.monotonic``: of the last reading, of its beginning
        # while one is going on, and of the end of the last attempt.
        self._read_at = 0.0
        self._begun: float | None = None
        self._ended: float | None = None
        self._failed = False

    def latest(self, patience: float) -> Reading | None:
        """
        The last reading; None where there was none yet.

        One that is old is renewed, and waited for *patience* seconds.
        """
        with self._lock:
            if self._begun is None and self._is_old():
                self._begun = time.monotonic()
                self._done.clear()
                self._supervisor.once(_THREAD, self._renew)
        self._done.wait(patience)
        return self._last

    def works(self) -> bool:
        """Whether the hypervisor answers, as far as is known."""
        with self._lock:
            return (
                self._last is not None
                and not self._failed
                and not (self._begun and _since(self._begun) > _SLOW_SECONDS)
            )

    def age(self) -> float:
        """The seconds since the last reading that succeeded."""
        return _since(self._read_at)

    def _is_old(self) -> bool:
        return self._ended is None or _since(self._ended) > _FRESH_SECONDS

    def _renew(self) -> None:
        try:
            found = self._read()
        # That it is away is what is asked for here, and no fault of ours.
        except Exception as exc:
            self._failures.tell('Looking at all systems', exc)
            self._end(None)
        else:
            self._failures.forget('Looking at all systems')
            self._end(found)

    def _end(self, found: Reading | None) -> None:
        with self._lock:
            self._begun, self._ended = None, time.monotonic()
            self._failed = found is None
            if found is not None:
                self._last, self._read_at = found, self._ended
        self._done.set()


def read(
    driver: contract.Driver,
    catalogue: Catalogue,
    may_serve: Callable[[contract.System], bool],
) -> Reading:
    """Ask *driver* for every system that the emulator *may_serve*."""
    states = {
        system: state
        for system, state in driver.power_states().items()
        if may_serve(system)
    }
    holdings = {}
    for system in states:
        # One may be undefined meanwhile.
        with contextlib.suppress(exceptions.SystemNotFound):
            holdings[system] = _holding(catalogue, system)
    return Reading(states, holdings)


def _since(moment: float) -> float:
    return time.monotonic() - moment


def _holding(catalogue: Catalogue, system: contract.System) -> Holding:
    views = catalogue.list(system, measured=True)
    sizes = [view.size for view in views if view.size is not None]
    return Holding(len(views), sum(size.own + size.disks for size in sizes))
