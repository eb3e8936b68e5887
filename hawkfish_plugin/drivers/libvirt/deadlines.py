# SPDX-License-Identifier: Apache-2.0
"""
Calls of libvirt that may never return.

libvirt waits without end for what does not answer: a file system whose server
is gone, a QEMU that hangs.  Owns the deadline of such calls, and the memory of
what does not answer: until libvirt returns, whoever asks about the same thing
is told so at once.  So each sick thing costs one thread, and one call of
libvirt, however many operations need it.
"""

import concurrent.futures
import dataclasses
import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import libvirt

from hawkfish_plugin import exceptions

T = TypeVar('T')

# What a thread is called; and how long it waits for the next call.
_BUSY, _IDLE = 'hawkfish-call', 'hawkfish-idle'
_IDLE_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class _Late:
    """A call that has missed its deadline, and has not returned."""

    connection: libvirt.virConnect
    began: float


class Deadlines:
    """
    The calls about things of one kind, by the names that users know them by.

    Each call may take *seconds*, and *while_late* where another one is late
    already: libvirt may have all of them wait for it.
    """

    def __init__(self, seconds: float, while_late: float) -> None:
        self._seconds, self._while_late = seconds, while_late
        self._lock = threading.RLock()
        self._turns: dict[str, threading.Lock] = {}
        self._late: dict[str, _Late] = {}
        self._callers = _Callers()
        # Since when, and until when, nobody is to ask about a thing.
        self._put_off: dict[str, tuple[float, float]] = {}

    def ask(
        self,
        connection: libvirt.virConnect,
        thing: str,
        call: Callable[[], T],
        more: float = 0.0,
    ) -> T:
        """
        What *call*, which uses *connection*, says of *thing*.

        The calls about one thing take turns.  Raises NotAnswering where it
        has not returned in time, or where an earlier one still has not.
        *more* is how many seconds longer than others it may take.
        """
        with self._lock:
            put_off = self._put_off_since(thing)
            if thing in self._late or put_off is not None:
                raise self._not_answering(thing, put_off)
            seconds = self._while_late if self._late else self._seconds
            turn = self._turns.setdefault(thing, threading.Lock())
        began = time.monotonic()
        if not turn.acquire(timeout=seconds):
            raise self._not_answering(thing, began)
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        outcome.add_done_callback(lambda _: turn.release())
        try:
            self._callers.carry_out(lambda: _carry_out(call, outcome))
        except RuntimeError as exc:
            # No thread can be had; the next one has its turn all the same.
            outcome.set_exception(exc)
        concurrent.futures.wait([outcome], seconds + more)
        return self._in_time(connection, thing, began, outcome)

    def put_off(self, thing: str, seconds: float) -> exceptions.NotAnswering:
        """
        Let nobody ask about *thing* for *seconds*.

        For one that has answered that it cannot.  Gives the error for that.
        """
        with self._lock:
            now = time.monotonic()
            self._put_off[thing] = now, now + seconds
        return exceptions.NotAnswering(thing, round(seconds))

    def _put_off_since(self, thing: str) -> float | None:
        since, until = self._put_off.get(thing, (0.0, 0.0))
        if until > time.monotonic():
            return since
        self._put_off.pop(thing, None)
        return None

    def _in_time(
        self,
        connection: libvirt.virConnect,
        thing: str,
        began: float,
        outcome: 'concurrent.futures.Future[T]',
    ) -> T:
        with self._lock:
            if not outcome.done():
                self._late[thing] = _Late(connection, began)
                outcome.add_done_callback(lambda _: self._returned(thing))
                raise self._not_answering(thing)
        return outcome.result()

    def _returned(self, thing: str) -> None:
        with self._lock:
            self._late.pop(thing, None)

    def _not_answering(
        self, thing: str, began: float | None = None
    ) -> exceptions.NotAnswering:
        """The error that names what has not answered for the longest time."""
        with self._lock:
            late = [(one.began, name) for name, one in self._late.items()]
        since, name = min(late, default=(began or time.monotonic(), thing))
        return exceptions.NotAnswering(name, round(time.monotonic() - since))

    def is_used(self, connection: libvirt.virConnect) -> bool:
        """Whether a call that is late has *connection*."""
        with self._lock:
            return any(
                one.connection is connection for one in self._late.values()
            )


class _Callers:
    """
    Threads for calls; who is idle has the next one.

    To start one takes as long as a call that libvirt answers at once.  Unlike
    those of ``concurrent.futures`` they keep no process from ending.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[Callable[[], None]]] = []

    def carry_out(self, call: Callable[[], None]) -> None:
        """Have *call*, which raises nothing, carried out by a thread."""
        with self._lock:
            calls = self._idle.pop() if self._idle else None
        if calls is None:
            calls = queue.SimpleQueue()
            threading.Thread(
                target=self._serve,
                args=(calls,),
                name=_BUSY,
                daemon=True,
            ).start()
        calls.put(call)

    def _serve(self, calls: 'queue.SimpleQueue[Callable[[], None]]') -> None:
        thread = threading.current_thread()
        while True:
            try:
                call = calls.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    # Who was given one at this very moment has to stay.
                    if calls in self._idle:
                        self._idle.remove(calls)
                        return
                continue
            thread.name = _BUSY
            call()
            # It holds a connection.
            del call
            thread.name = _IDLE
            with self._lock:
                self._idle.append(calls)


def _carry_out(
    call: Callable[[], T], outcome: 'concurrent.futures.Future[T]'
) -> None:
    try:
        found = call()
    except BaseException as exc:
        outcome.set_exception(exc)
    else:
        outcome.set_result(found)
