# SPDX-License-Identifier: Apache-2.0
"""
Files that others read while they are written.

Owns that a reader finds the old or the new text, whole, that the mode, the
owner and the extended attributes stay, and that no two of our writers meet.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterator

from hawkfish_plugin import bounds, exceptions
from hawkfish_plugin.accounts.users import lines_of, name_in

_POLL_SECONDS = 0.05


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """
    In the block, no other process of ours is in one for *path*.

    What is locked is its folder: a file is another one once it is replaced.
    Raises AccountsNotChanged where that takes too long, or cannot be done.
    """
    until = time.monotonic() + bounds.ACCOUNTS_SECONDS
    with _telling(path):
        folder = _open(pathlib.Path(path).resolve().parent)
    try:
        while not _take(folder):
            if time.monotonic() > until:
                raise exceptions.AccountsNotChanged(
                    path, 'another process has locked it'
                )
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(folder)


def _open(folder: pathlib.Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def _take(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read(path: str) -> str:
    """All of *path*; raises AccountsNotChanged."""
    with _telling(path):
        try:
            return pathlib.Path(path).read_bytes().decode()
        except UnicodeDecodeError:
            raise exceptions.AccountsNotChanged(
                path, 'it is not UTF-8'
            ) from None


def replace(path: str, before: str, after: str) -> None:
    """
    Let *path* hold *after* in the place of *before*, in the block of a lock.

    Raises AccountsNotChanged, and changes nothing, where the file cannot be
    written, cannot keep its owner, or another program has changed it.
    """
    if before == after:
        return
    with _telling(path):
        place = pathlib.Path(path).resolve()
        prefix = f'.{place.name}.hawkfish-'
        for left in place.parent.glob(f'{prefix}*'):
            # Of a process that died; nobody else is here.
            left.unlink()
        handle, name = tempfile.mkstemp(prefix=prefix, dir=place.parent)
        try:
            with open(handle, 'wb') as file:
                file.write(after.encode())
                file.flush()
                _become_like(name, place)
                os.fsync(file.fileno())
            if read(path) != before:
                raise exceptions.AccountsNotChanged(
                    path, 'another program changes it'
                )
            os.replace(name, place)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        _sync(place.parent)


def _become_like(name: str, place: pathlib.Path) -> None:
    status = place.stat()
    os.chown(name, status.st_uid, status.st_gid)
    # With the mode, the lists of access and the label.
    shutil.copystat(place, name)
    os.utime(name)


def _sync(folder: pathlib.Path) -> None:
    handle = _open(folder)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _telling(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise exceptions.AccountsNotChanged(
            path, exc.strerror or str(exc)
        ) from exc


def with_line(text: str, name: str, line: str | None) -> str:
    """
    *text* with *line* in the place of those of *name*; None: without them.

    Only the first line of a name counts, and another one would take its
    place.  All other lines stay as they are.
    """
    kept: list[str] = []
    for old in lines_of(text):
        if name_in(old) != name:
            kept.append(old)
        elif line is not None:
            kept.append(f'{line}\n')
            line = None
    if line is not None:
        if kept and not kept[-1].endswith('\n'):
            kept[-1] += '\n'
        kept.append(f'{line}\n')
    return ''.join(kept)
