# SPDX-License-Identifier: Apache-2.0
"""
Which systems the emulators of one state folder may serve.

Each emulator has a list of its own, or none, and one of them works for all:
it must not go by its own list alone.  Owns the files in which the others say
theirs, each locked by whoever goes by it, so that a list ends with its last
process.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Collection, Iterable, Iterator

from hawkfish_plugin import db, exceptions
from hawkfish_plugin.drivers import contract

Allowed = list[str] | None
"""UUIDs and names; None allows every system."""


def permits(allowed: Collection[str] | None, system: contract.System) -> bool:
    """Whether *allowed* has *system*, by its UUID or its name."""
    return allowed is None or system.uuid in allowed or system.name in allowed


def text_of(systems: Iterable[contract.System]) -> str:
    """*systems* as a row keeps them, of which all have to be allowed."""
    return json.dumps([(system.uuid, system.name) for system in systems])


def systems_in(text: object) -> tuple[contract.System, ...]:
    """The systems of ``text_of``."""
    found: list[object] = db.decoded(text, [])[0]
    return tuple(
        contract.System(str(pair[0]), str(pair[1]))
        for pair in found
        if isinstance(pair, list) and len(pair) == 2
    )


class AllowLists:
    """The lists in *folder*, of which *own* gives that of this process."""

    def __init__(
        self, folder: pathlib.Path, own: Callable[[], Allowed]
    ) -> None:
        self._folder = folder
        self._own = own
        self._told: pathlib.Path | None = None
        db.make_private_folder(folder)

    def own(self) -> Allowed:
        return self._own()

    def announce(self) -> None:
        """Let the others know the list of this process while it lives."""
        text = json.dumps(self._own())
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        path = self._folder / f'serves-{digest}.json'
        try:
            # Whoever has found it unused may be about to remove it.
            while not self._hold(path, text):
                pass
        except OSError as exc:
            raise exceptions.StateUnavailable(self._folder, exc) from exc
        self._told = path

    @staticmethod
    def _hold(path: pathlib.Path, text: str) -> bool:
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
        handle = os.open(path, flags, 0o600)
        fcntl.flock(handle, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == path.stat().st_ino:
                # Never closed: the kernel does it with the process.
                os.pwrite(handle, text.encode(), 0)
                return True
        os.close(handle)
        return False

    def is_served(self, system: contract.System) -> bool:
        """Whether some emulator that lives may serve *system*."""
        if permits(self._own(), system):
            return True
        return any(permits(allowed, system) for allowed in self._others())

    def is_served_by_all(self, system: contract.System) -> bool:
        """Whether every emulator that lives may serve *system*."""
        lists = (self._own(), *self._others())
        return all(permits(allowed, system) for allowed in lists)

    def _others(self) -> Iterator[Allowed]:
        for path in self._folder.glob('serves-*.json'):
            if path != self._told:
                try:
                    yield from _in_use(path)
                except FileNotFoundError:
                    continue
                except (OSError, ValueError):
                    # Nobody knows what it allows: nothing is told to all.
                    yield []


def _in_use(path: pathlib.Path) -> Iterator[Allowed]:
    """The list in *path*; of one that nobody goes by, the file is removed."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = json.loads(path.read_text())
            yield found if found is None or isinstance(found, list) else []
        else:
            path.unlink()
    finally:
        os.close(handle)
