# SPDX-License-Identifier: Apache-2.0
"""Exports: snapshots that can be fetched as bundles."""

import contextlib
import datetime
import math
import os
import pathlib
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import requests
from sushy import exceptions
from sushy.resources import base

from hawkfish_plugin.client import common, tasks, typed

Progress = Callable[[int, int], None]
"""Called with the bytes so far, and how many there are"""

# How long a service may be away while a bundle is fetched.
PATIENCE = 60.0
PAUSE = 0.5
# Of the connection, and between two parts.
SILENCE = 60.0
# What has arrived of one is lost with its connection.
CHUNK = 2**16
_NO_NAME = re.compile(r'[^\w.-]')


def file_name(*names: str, compress: bool = False) -> str:
    """What the file of a bundle is called by default, after *names*."""
    ending = '.tar.zst' if compress else '.tar'
    return _NO_NAME.sub('_', '-'.join(names)) + ending


@tasks.created_by_tasks
class Export(typed.Resource):
    """A snapshot that can be fetched as a bundle, at the time it was read."""

    identity: str = base.Field('Id', required=True)
    snapshot: str = base.Field('SnapshotName')
    """Name of the snapshot that was exported"""

    created_time: datetime.datetime = base.Field(
        'CreatedTime', adapter=common.moment
    )
    expires_time: datetime.datetime = base.Field(
        'ExpiresTime', adapter=common.moment
    )
    """When the service deletes it"""

    state: str = base.Field('ExportState')
    """``Ready`` or ``Deleting``"""

    size_bytes: int = base.Field('SizeBytes')
    """Size of the bundle in bytes"""

    _data_uri = base.Field('DataURI', required=True)

    def __repr__(self) -> str:
        return f'<Export {self.identity} of {self.snapshot!r}: {self.state}>'

    def read(self) -> Iterator[bytes]:
        """
        Yield the bundle in parts.

        A connection that breaks is opened again, and the bundle goes on
        where it was. Raises the last error if the service is away for more
        than a minute.
        """
        done, last_seen = 0, time.monotonic()
        while done < self.size_bytes:
            try:
                for part in self._read_from(done):
                    done += len(part)
                    last_seen = math.inf
                    yield part
                    last_seen = time.monotonic()
            except (
                requests.RequestException,
                exceptions.ConnectionError,
                exceptions.ServerSideError,
            ):
                if time.monotonic() - last_seen > PATIENCE:
                    raise
                time.sleep(PAUSE)

    def _read_from(self, begin: int) -> Iterator[bytes]:
        headers = {'Range': f'bytes={begin}-'} if begin else {}
        response = self._conn.get(
            self._data_uri, headers=headers, timeout=SILENCE, stream=True
        )
        with response:
            if begin and response.status_code != requests.codes.partial:
                raise exceptions.InvalidMessage(
                    f'{self._data_uri} cannot be resumed'
                )
            yield from response.iter_content(CHUNK)

    def save(
        self,
        path: str | os.PathLike[str],
        progress: Progress | None = None,
        compress: bool = False,
    ) -> str:
        """
        Write the bundle to *path*, and return the path of the file.

        In a folder, the file is called after the snapshot. It is there when it
        is whole; until then its name ends in ``.part``, and a download that
        fails leaves nothing. Only its owner can read it. A named pipe or a
        device is written to as it is.

        To *compress* the bundle by zstd is up to this process, and whoever
        imports the file need not know.
        """
        # What a link leads to is written, not the link.
        target = pathlib.Path(path).resolve()
        if target.is_dir():
            target /= file_name(self.snapshot, compress=compress)
        if target.exists() and not target.is_file():
            with target.open('wb') as file:
                self.write(file, progress, compress)
        else:
            self._save(target, progress, compress)
        return str(target)

    def _save(
        self, target: pathlib.Path, progress: Progress | None, compress: bool
    ) -> None:
        # Nobody else may read the passwords in it, or write to it.
        opened, path = tempfile.mkstemp(
            '.part', f'{target.name}.', target.parent
        )
        unfinished = pathlib.Path(path)
        try:
            with open(opened, 'wb') as file:
                self.write(file, progress, compress)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    def write(
        self,
        file: BinaryIO,
        progress: Progress | None = None,
        compress: bool = False,
    ) -> None:
        """Write the bundle to *file*, such as a pipe; see ``save``."""
        done = 0
        with self._into(file, compress) as target:
            for part in self.read():
                target.write(part)
                done += len(part)
                if progress:
                    progress(done, self.size_bytes)

    def _into(
        self, file: BinaryIO, compress: bool
    ) -> contextlib.AbstractContextManager[BinaryIO]:
        if not compress:
            return contextlib.nullcontext(file)
        # What lists and the like need not load.
        from hawkfish_plugin.client import compression

        return compression.compressed(file, self.size_bytes)

    def delete(self) -> None:
        """Delete the export and its files; the snapshot stays."""
        self._conn.delete(self.path)
