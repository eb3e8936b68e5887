# SPDX-License-Identifier: Apache-2.0
"""
Import: a bundle becomes a new system.

A request receives it, with a check of each part as it comes, and a task makes
the system.  Until that has ended the files are noted as an upload, and go
with whatever has failed or died.
"""

import contextlib
import dataclasses
import logging
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hawkfish_plugin import db, events, exceptions, locks
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import Manifest, Member
from hawkfish_plugin.bundles.reading import Read, Reader
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.importing import ImportRequest, Imports
from hawkfish_plugin.records import Record
from hawkfish_plugin.redfish import uris
from hawkfish_plugin.tasks.context import Context
from hawkfish_plugin.tasks.operation import Answer, Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject, Task
from hawkfish_plugin.uploads import Uploads

LOG = logging.getLogger(__name__)

# What libvirt, a file system and a URI all take for a name.
_NAME = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}')
_RULE = 'it must have 1 to 64 letters, digits, and _, . and - within'


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """
    What is asked for: *name* None is that of the bundle's system.

    *pool* and *start* as in ``ImportRequest``.
    """

    name: str | None = None
    pool: str | None = None
    start: bool = False


@dataclasses.dataclass(frozen=True)
class ImportArguments(Record):
    """
    The *request*, the *files* by name of member, and the *members*, as JSON.

    *upload* is what they are noted as.
    """

    request: Mapping[str, Any]
    files: Mapping[str, str]
    members: Sequence[Mapping[str, Any]]
    upload: int


class Import(Operation):
    name = contract.IMPORT
    title = 'Import {system}'

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        uploads: Uploads,
        database: db.Database,
        lock_files: locks.Locks,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._uploads = uploads
        self._db = database
        self._locks = lock_files

    # Requests -------------------------------------------------------------

    def receive(
        self,
        read: Read,
        length: int,
        options: ImportOptions,
        payload: Mapping[str, Any],
    ) -> Task:
        """
        Receive a bundle of *length* bytes from *read*; returns its task.

        Raises BundleInvalid, BundleTooNew, and everything that stands in the
        way of the system; then no file is left.
        """
        driver = self._importing()
        reader = Reader(read, length)
        described = reader.manifest()
        name = _name(options, described)
        with self._uploading() as upload:
            request, files = ImportRequest('', name, ''), dict[str, str]()
            for member, parts in reader.members(described):
                if member.role == manifest.DOMAIN:
                    request = _request(name, options, b''.join(parts))
                    files |= driver.plan_import(request, described.members)
                    self._uploads.note(upload, list(files.values()))
                elif member.name in files:
                    self._receive(files[member.name], member, parts)
                else:
                    for _ in parts:
                        pass
            return self._submit(request, files, described, upload, payload)

    @contextlib.contextmanager
    def _uploading(self) -> Iterator[int]:
        """Note an upload, whose files go where the block fails."""
        upload = self._uploads.begin()
        with self._locks.upload(upload):
            try:
                yield upload
            except BaseException:
                self._drop(upload)
                raise

    def _receive(
        self, path: str, member: Member, parts: Iterator[bytes]
    ) -> None:
        driver, offset = self._importing(), 0
        driver.make_file(path, member.size)
        for part in parts:
            driver.write_file(path, offset, part)
            offset += len(part)
        driver.check_file(path, member)

    def _submit(
        self,
        request: ImportRequest,
        files: Mapping[str, str],
        described: Manifest,
        upload: int,
        payload: Mapping[str, Any],
    ) -> Task:
        arguments = ImportArguments(
            request.dump(),
            files,
            [one.dump() for one in described.members],
            upload,
        )
        system = contract.System(request.uuid, request.name)
        with self._db.transaction():
            task = self._tasks.submit(
                self, [Subject(system)], arguments, payload
            )
            self._uploads.hand_over(upload, task.id)
        return task

    def _drop(self, upload: int) -> None:
        """Remove the files of an upload, now or later."""
        for one in self._uploads.all():
            if one.id == upload:
                with contextlib.suppress(exceptions.HawkFishError):
                    self._importing().remove_files(one.files)
                    self._uploads.forget(upload)

    def periodic(self) -> None:
        """Remove the files of uploads whose process or task is no more."""
        for one in self._uploads.all():
            if one.task is not None and not self._has_ended(one.task):
                continue
            with (
                contextlib.suppress(exceptions.SystemLocked),
                self._locks.upload(one.id),
            ):
                LOG.info('The upload %s is removed', one.id)
                self._drop(one.id)

    def _has_ended(self, task: int) -> bool:
        try:
            return not self._tasks.get(task).active
        except exceptions.TaskNotFound:
            return True

    # The operation --------------------------------------------------------

    def run(self, context: Context) -> dict[str, Any]:
        arguments = ImportArguments.load(context.task.arguments)
        self._importing().import_system(*_of(arguments), context)
        return self._done(arguments)

    def settle(self, context: Context) -> dict[str, Any]:
        arguments = ImportArguments.load(context.task.arguments)
        self._importing().settle_import(*_of(arguments), context)
        return self._done(arguments)

    def _done(self, arguments: ImportArguments) -> dict[str, Any]:
        # Its files are the system's.
        self._uploads.forget(arguments.upload)
        return {'system': arguments.request['uuid']}

    def events(
        self, task: Task, error: exceptions.HawkFishError | None
    ) -> Sequence[events.NewEvent]:
        return ()

    def created(self, task: Task) -> str | None:
        return uris.system_uri(task.one_system.uuid)

    def is_there(self, task: Task) -> bool:
        try:
            self._driver.resolve(task.one_system.uuid)
        except exceptions.SystemNotFound:
            return False
        return True

    def answer(self, task: Task) -> Answer:
        body = {'@odata.id': self.created(task)}
        return Answer(201, body, self.created(task))

    def _importing(self) -> Imports:
        if not isinstance(self._driver, Imports):
            raise exceptions.DriverNotSupported(type(self._driver).__name__)
        return self._driver


def _of(
    arguments: ImportArguments,
) -> tuple[ImportRequest, Mapping[str, str], Sequence[Member]]:
    return (
        ImportRequest.load(arguments.request),
        arguments.files,
        [Member.load(one) for one in arguments.members],
    )


def _name(options: ImportOptions, described: Manifest) -> str:
    name = options.name
    if name is None:
        name = described.source.system
    return check_name(name)


def check_name(name: str) -> str:
    """*name*; raises SystemNameInvalid where no system can have it."""
    if not _NAME.fullmatch(name):
        raise exceptions.SystemNameInvalid(name[:200], _RULE)
    return name


def _request(
    name: str, options: ImportOptions, definition: bytes
) -> ImportRequest:
    try:
        text = definition.decode()
    except UnicodeDecodeError:
        raise exceptions.BundleInvalid('its definition is no text') from None
    return ImportRequest(
        str(uuid.uuid4()), name, text, options.pool, options.start
    )
