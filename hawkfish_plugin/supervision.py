# SPDX-License-Identifier: Apache-2.0
"""
The threads of ours in this process.

Owns that none of them ends but on purpose: what a thread does is a step that
is called again and again, and whatever it raises is logged, remembered as what
is failing, and tried again.  Steps need no handlers of their own for that.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from hawkfish_plugin import exceptions, messages

LOG = logging.getLogger(__name__)

Step = Callable[[], object]

# How long a thread rests after a step that failed.
RETRY_SECONDS = 1.0
_PREFIX = 'hawkfish-'
# How often what goes on failing in the same way is logged.
_TELL_SECONDS = 60.0


class Finished(Exception):
    """Raised by a step that has nothing more to do: its thread ends."""


class Failures:
    """
    What fails, in the log: at once, and each minute while it goes on.

    So that what is tried every second does not fill a disk.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: dict[str, tuple[str, float]] = {}

    def tell(self, what: str, error: BaseException) -> str:
        """Log that *what* has failed with *error*; returns the text."""
        text = describe(error)
        before, at = self._told.get(what, ('', 0.0))
        now = time.monotonic()
        if text != before or now - at >= _TELL_SECONDS:
            self._told[what] = text, now
            expected = isinstance(error, exceptions.HawkFishError)
            self._log.error(
                '%s failed: %s',
                what,
                text,
                exc_info=None if expected else error,
            )
        return text

    def forget(self, what: str) -> None:
        """*what* works again: the next failure is told at once."""
        self._told.pop(what, None)


def describe(error: BaseException) -> str:
    """*error* in a line, as a log has it."""
    if isinstance(error, exceptions.HawkFishError):
        return messages.text(error)
    return f'{type(error).__name__}: {error}'


class Supervisor:
    """The threads of ours in this process; see the module."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._failing: dict[str, tuple[float, str]] = {}
        self._failures = Failures(LOG)
        # What error paths need is read now: later there may be no descriptor
        # left to read it with.
        messages.registry()

    def repeat(
        self, name: str, step: Step, over: threading.Event | None = None
    ) -> threading.Thread:
        """
        Call *step* again and again, in a thread called *name*; return that.

        Until it raises Finished, or *over* is set.  Where there is a thread of
        this name already, nothing is done.  Raises RuntimeError where the
        system has no thread left.
        """
        with self._lock:
            there = self._threads.get(name)
            if there and there.is_alive():
                return there
            thread = threading.Thread(
                target=self._run,
                args=(name, step, over or threading.Event()),
                name=f'{_PREFIX}{name}',
                daemon=True,
            )
            thread.start()
            self._threads[name] = thread
            return thread

    def once(self, name: str, work: Step) -> threading.Thread:
        """Call *work* until it succeeds, once, in a thread called *name*."""

        def step() -> None:
            work()
            raise Finished

        return self.repeat(name, step)

    def alive(self, *names: str) -> bool:
        """Whether one of the threads called *names* has not ended."""
        with self._lock:
            found = [self._threads.get(name) for name in names]
        return any(thread and thread.is_alive() for thread in found)

    def failing(self) -> Mapping[str, tuple[float, str]]:
        """
        What does not work: since when, of ``time.monotonic``, and why.

        By the names of the threads.
        """
        with self._lock:
            return dict(self._failing)

    def suffer(self, error: Exception) -> None:
        """Say that the step of the present thread waits because of *error*."""
        self._fail(_present(), error)

    def well(self) -> None:
        """Say that the step of the present thread works, before its end."""
        name = _present()
        if name in self._failing:
            with self._lock:
                self._failing.pop(name, None)
            self._failures.forget(name)
            LOG.warning('%s works again', name)

    def _run(self, name: str, step: Step, over: threading.Event) -> None:
        while not over.is_set():
            try:
                step()
            except Finished:
                break
            # Not even what ends a program may end a thread that others rely
            # on: they would wait for it for ever.
            except BaseException as exc:
                self._fail(name, exc)
                over.wait(RETRY_SECONDS)
            else:
                self.well()
        self._failures.forget(name)
        with self._lock:
            self._failing.pop(name, None)
            if self._threads.get(name) is threading.current_thread():
                del self._threads[name]

    def _fail(self, name: str, error: BaseException) -> None:
        try:
            text = self._failures.tell(name, error)
        except Exception:
            # To tell it may need what there is none of.
            text = type(error).__name__
        with self._lock:
            since, _ = self._failing.get(name, (time.monotonic(), ''))
            self._failing[name] = since, text


def is_ours() -> bool:
    """Whether the present thread is one of these."""
    return threading.current_thread().name.startswith(_PREFIX)


def _present() -> str:
    return threading.current_thread().name.removeprefix(_PREFIX)
