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
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.supervision import Failures, Supervisor

LOG = logging.getLogger(__name__)

_FRESH_SECONDS = 60.0
# A reading that takes longer than this is one of a hypervisor in trouble.
_SLOW_SECONDS = 60.0
_THREAD = 'survey'
_LOOKING = 'Looking at all systems'


@dataclasses.dataclass(frozen=True)
class Holding:
    """How many snapshots a system has, and their *size* in bytes."""

    snapshots: int
    size: int


@dataclasses.dataclass(frozen=True)
class Reading:
    """
    The systems by their power state, and what each holds.

    *unread* is why a system could not be looked at.
    """

    power_states: Mapping[contract.System, str]
    holdings: Mapping[contract.System, Holding]
    unread: Mapping[contract.System, exceptions.HawkFishError] = (
        dataclasses.field(default_factory=dict)
    )


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
                self._begin()
        self._done.wait(patience)
        return self._last

    def _begin(self) -> None:
        self._done.clear()
        try:
            self._supervisor.once(_THREAD, self._renew)
        # There is no thread left: whoever asks next tries again.
        except RuntimeError as exc:
            self._failures.tell(_LOOKING, exc)
            self._done.set()
        else:
            self._begun = time.monotonic()

    def works(self) -> bool | None:
        """Whether the hypervisor answers; None where that is not known yet."""
        with self._lock:
            if self._begun and _since(self._begun) > _SLOW_SECONDS:
                return False
            return None if self._ended is None else not self._failed

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
            self._failures.tell(_LOOKING, exc)
            self._end(None)
        else:
            self._failures.forget(_LOOKING)
            self._tell(found)
            self._end(found)

    def _tell(self, found: Reading) -> None:
        for system in found.power_states:
            looking = f'Looking at {system.name}'
            if system in found.unread:
                self._failures.tell(looking, found.unread[system])
            else:
                self._failures.forget(looking)

    def _end(self, found: Reading | None) -> None:
        with self._lock:
            self._begun, self._ended = None, time.monotonic()
            self._failed = found is None
            if found is not None:
                self._last, self._read_at = found, self._ended
        self._done.set()


def read(
    driver: contract.Driver, may_serve: Callable[[contract.System], bool]
) -> Reading:
    """
    Ask *driver* for every system that the emulator *may_serve*.

    Nothing is noted of what is seen: no system is locked, and nobody has asked
    for anything.
    """
    states = {
        system: state
        for system, state in driver.power_states().items()
        if may_serve(system)
    }
    holdings: dict[contract.System, Holding] = {}
    unread: dict[contract.System, exceptions.HawkFishError] = {}
    for system in states:
        try:
            # One may be undefined meanwhile.
            with contextlib.suppress(exceptions.SystemNotFound):
                holdings[system] = _holding(driver, system)
        except exceptions.HypervisorUnavailable:
            raise
        except exceptions.HawkFishError as exc:
            unread[system] = exc
    return Reading(states, holdings, unread)


def _since(moment: float) -> float:
    return time.monotonic() - moment


def _holding(driver: contract.Driver, system: contract.System) -> Holding:
    found = driver.inventory(system.uuid, contract.Freshness.CACHED)
    size = sum(one.own + one.disks for one in found.sizes.values())
    return Holding(len(found.snapshots), size)
