# SPDX-License-Identifier: Apache-2.0
"""
Locks between the processes that serve one hypervisor.

Owns the lock files: one for each system, which an operation and every
mutating request of the emulator take in turn, one for the definition of each
system, one for what is submitted for it, one for its virtual media, one for
each policy, some that the groups share, one for each upload, and one that says
which process runs the workers.  The kernel releases them when their holder
dies, so nothing has to be cleaned up after a crash.  Owns as well the pipe by
which any process calls the one that runs the workers.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import select
import threading
import time
from collections.abc import Callable, Iterator

from hawkfish_plugin import bounds, db, exceptions, rooms, supervision

# How long a request waits for an operation on the same system; well below the
# 60 s after which sushy gives up.
REQUEST_TIMEOUT: float = bounds.LOCK_SECONDS

# flock() knows no time-out; this is how often it is tried until then.
_POLL_SECONDS = 0.05
# Whoever needs longer for a change of a few numbers does not come back.
_MOMENT_SECONDS = 15.0
# How long a request waits for others to decide where no place is free for
# that: longer than it takes a few of them, and no time to keep a thread.
_BRIEF_SECONDS = 2.0
# The locks of those who decide.
_DECISIONS = frozenset(('deciding', 'group'))
# How many calls are answered at once.
_MOST_CALLS = 4096
# How long whoever listens for calls may hear nothing.
_QUIET_SECONDS = 1.0


class Held:
    """A lock that is held, until its block ends or somebody lets it go."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle
        self._lock = threading.Lock()

    def let_go(self) -> None:
        """Let others have it, though the block goes on; from any thread."""
        with self._lock:
            if self._handle is not None:
                fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
            self._handle = None


class Locks:
    """
    The lock files in *folder*.

    Requests wait for them in *waiting_rooms*, and where those are full, not
    at all, or not for long.
    """

    def __init__(
        self, folder: pathlib.Path, waiting_rooms: rooms.Rooms | None = None
    ) -> None:
        self._folder = folder
        self._rooms = waiting_rooms or rooms.Rooms(1)
        self._pipe = folder / 'calls'
        self._deciding = threading.local()
        db.make_private_folder(folder)

    @contextlib.contextmanager
    def system(
        self, uuid: str, timeout: float, shared: bool = False
    ) -> Iterator['Held']:
        """
        Hold the lock of one system; *shared* with others that share it.

        Raises SystemLocked when somebody else holds it for *timeout* seconds.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        with self._hold('system', uuid, kind, timeout) as held:
            yield held

    @contextlib.contextmanager
    def definition(
        self, uuid: str, timeout: float, shared: bool = False
    ) -> Iterator[None]:
        """
        Be the only one of those that share a system who may redefine it.

        *shared*: redefine nothing, and let nobody redefine it.  For who has
        the lock of the system already.  Raises SystemLocked as ``system``.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        with self._hold('definition', uuid, kind, timeout):
            yield

    @contextlib.contextmanager
    def media(
        self, uuid: str, timeout: float, shared: bool = False
    ) -> Iterator[None]:
        """
        Hold the lock of the virtual media of one system.

        *shared* while images are inserted, and not to correct what is noted
        of them.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        with self._hold('media', uuid, kind, timeout):
            yield

    @contextlib.contextmanager
    def policy(self, uuid: str) -> Iterator[None]:
        """Hold the lock of the policy of one system, for a moment."""
        with self._hold('policy', uuid, fcntl.LOCK_EX, _MOMENT_SECONDS):
            yield

    @contextlib.contextmanager
    def upload(self, number: int) -> Iterator[None]:
        """
        Hold the lock of one upload, for as long as it goes on.

        Raises SystemLocked where somebody has it.  Its file goes with it, as
        there is no end of uploads.
        """
        with self._hold('upload', str(number), fcntl.LOCK_EX, 0):
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    (self._folder / f'upload-{number}.lock').unlink()

    @contextlib.contextmanager
    def deciding(self, *uuids: str) -> Iterator[None]:
        """
        Decide alone what is submitted for some systems.

        From the look at what there is to the submission of what follows from
        it: two at once would both find a name free.  Within another one of
        this thread it is part of that.  A thread that wants the lock of the
        system as well takes that one first.  Raises SystemLocked.
        """
        held: set[str] = vars(self._deciding).setdefault('held', set())
        until = time.monotonic() + REQUEST_TIMEOUT
        with contextlib.ExitStack() as stack:
            # In one order, so that two cannot wait for each other.
            for uuid in sorted(set(uuids) - held):
                left = until - time.monotonic()
                # Nobody waits for what our own threads decide.
                if supervision.is_ours():
                    left = REQUEST_TIMEOUT
                stack.enter_context(
                    self._hold('deciding', uuid, fcntl.LOCK_EX, max(0.0, left))
                )
                held.add(uuid)
                stack.callback(held.discard, uuid)
            yield

    @contextlib.contextmanager
    def group(self, name: str) -> Iterator[None]:
        """
        Change one group, or decide what is submitted for it, alone.

        Taken before those of its systems, and never two at once.  Raises
        GroupLocked.
        """
        # Clients make up names, and each would leave a file behind.
        digest = hashlib.sha256(name.encode(errors='replace')).hexdigest()
        with self._hold(
            'group',
            digest[:2],
            fcntl.LOCK_EX,
            REQUEST_TIMEOUT,
            lambda waited: exceptions.GroupLocked(name, waited),
        ):
            yield

    @contextlib.contextmanager
    def _hold(
        self,
        what: str,
        uuid: str,
        kind: int,
        timeout: float,
        locked: Callable[[int], exceptions.HawkFishError] | None = None,
    ) -> Iterator['Held']:
        handle = self._open(f'{what}-{uuid}')
        held = Held(handle)
        # Others decide for as long as a look takes, and do so in turn: a few
        # that come at once are all served.
        room, without = (
            (self._rooms.decisions, _BRIEF_SECONDS)
            if what in _DECISIONS
            else (self._rooms.locks, 0.0)
        )
        try:
            waited = self._acquire(handle, kind, timeout, room, without)
            if waited is not None:
                if locked:
                    raise locked(round(waited))
                raise exceptions.SystemLocked(uuid, round(waited))
            yield held
        finally:
            held.close()

    @contextlib.contextmanager
    def own_workers(self) -> Iterator[None]:
        """
        In the block, this process is the one that runs the workers.

        Waits until it is its turn.  Raises StateUnavailable.
        """
        handle = self._open('workers')
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
            except OSError as exc:
                raise exceptions.StateUnavailable(self._folder, exc) from exc
            yield
        finally:
            os.close(handle)

    def call_owner(self) -> None:
        """
        Tell the process that runs the workers that there is work.

        Never waits and never fails: where nobody hears it, the work is found
        a bit later.
        """
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
            handle = os.open(self._pipe, flags)
            try:
                os.write(handle, b'.')
            finally:
                os.close(handle)

    def calls(self) -> Iterator[None]:
        """
        Go on once for each call, or for some at once; for the owner only.

        Also now and then without one, so that nobody waits for ever.  Raises
        StateUnavailable.
        """
        try:
            with contextlib.suppress(FileExistsError):
                os.mkfifo(self._pipe, 0o600)
            # For both, so that it does not end with the last who calls.
            handle = os.open(self._pipe, os.O_RDWR | os.O_CLOEXEC)
        except OSError as exc:
            raise exceptions.StateUnavailable(self._folder, exc) from exc
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            while True:
                if poll.poll(_QUIET_SECONDS * 1000):
                    os.read(handle, _MOST_CALLS)
                yield
        finally:
            os.close(handle)

    def _open(self, name: str) -> int:
        path = self._folder / f'{name}.lock'
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
        try:
            return os.open(path, flags, 0o600)
        except OSError as exc:
            raise exceptions.StateUnavailable(self._folder, exc) from exc

    def _acquire(
        self,
        handle: int,
        kind: int,
        timeout: float,
        room: rooms.Room,
        without: float,
    ) -> float | None:
        """
        None, or how many seconds it was waited for in vain.

        *without* a place in *room*, for so many seconds at most.
        """
        if self._try(handle, kind):
            return None
        # Our own threads are none of the web server's.
        if not timeout or supervision.is_ours():
            return self._poll(handle, kind, timeout)
        if not room.enter():
            return self._poll(handle, kind, min(timeout, without))
        try:
            return self._poll(handle, kind, timeout)
        finally:
            room.leave()

    def _poll(self, handle: int, kind: int, timeout: float) -> float | None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            if self._try(handle, kind):
                return None
        return timeout

    def _try(self, handle: int, kind: int) -> bool:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as exc:
            raise exceptions.StateUnavailable(self._folder, exc) from exc
        return True
