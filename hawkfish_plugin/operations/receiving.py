# SPDX-License-Identifier: Apache-2.0
"""
Receiving a bundle that is to be imported.

A request receives it, with a check of each part as it comes; then a task makes
the system, or those of a group.  Owns what is decided before the first file is
made: names, identities, and all that stands in the way.  Until the task has
ended the files are noted as an upload, and go with whatever has failed or
died.
"""

import contextlib
import dataclasses
import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hawkfish_plugin import db, exceptions, locks
from hawkfish_plugin import names as rules
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import Bundle, Lab, Manifest, Member
from hawkfish_plugin.bundles.reading import Read, Reader
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.importing import ImportRequest, OverRequest
from hawkfish_plugin.operations import grouped
from hawkfish_plugin.operations.group_import import GroupImport
from hawkfish_plugin.operations.import_over import (
    ImportOver,
    ImportOverArguments,
)
from hawkfish_plugin.operations.importing import (
    Import,
    Planned,
    importing,
)
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Task
from hawkfish_plugin.uploads import Uploads

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """
    What is asked for: *name* None is that of the bundle's system, or group.

    The name of each system begins with *prefix*.  To *keep* identities is to
    keep UUIDs and MAC addresses.  *pool*, *start* and *memory* are as in
    ``ImportRequest``.  *over* is the system that gets the disks, where no new
    one is made.
    """

    name: str | None = None
    pool: str | None = None
    start: bool = False
    prefix: str = ''
    keep: bool = False
    memory: bool = False
    over: contract.System | None = None


class Receiving:
    """What receives bundles, and submits their tasks."""

    def __init__(
        self,
        driver: contract.Driver,
        task_table: Tasks,
        uploads: Uploads,
        database: db.Database,
        lock_files: locks.Locks,
        single: Import,
        group: GroupImport,
        over: ImportOver,
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._uploads = uploads
        self._db = database
        self._locks = lock_files
        self._single = single
        self._group = group
        self._over = over

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
        way of a system; then no file is left.
        """
        reader = Reader(read, length)
        bundle = reader.manifest()
        _check_memory(bundle, options)
        if options.over is not None:
            return self._receive_over(reader, bundle, options, payload)
        group, names = self._names(bundle, options)
        with self._uploading() as upload:
            planned: Sequence[Planned] = ()
            definitions, files = list[str](), dict[str, str]()
            for member, parts in reader.members(bundle):
                if member.role == manifest.DOMAIN:
                    definitions.append(_text(parts))
                    if len(definitions) == len(names):
                        planned = self._plan(
                            bundle, names, definitions, options
                        )
                        for one in planned:
                            files |= one.files
                        self._uploads.note(upload, list(files.values()))
                elif member.name in files:
                    self._receive(files[member.name], member, parts)
                else:
                    for _ in parts:
                        pass
            return self._submit(group, planned, upload, payload)

    def _receive_over(
        self,
        reader: Reader,
        bundle: Bundle,
        options: ImportOptions,
        payload: Mapping[str, Any],
    ) -> Task:
        system = options.over
        if system is None or isinstance(bundle, Lab):
            raise exceptions.ImportNotPossible('it has several systems')
        request = OverRequest(
            options.start or _is_to_run(bundle, options), options.memory
        )
        with self._uploading() as upload:
            files = self._over.plan(system, request, bundle.members)
            self._uploads.note(upload, list(files.values()))
            for member, parts in reader.members(bundle):
                if member.name in files:
                    self._receive(files[member.name], member, parts)
                else:
                    for _ in parts:
                        pass
            arguments = ImportOverArguments(
                request.dump(),
                files,
                [one.dump() for one in bundle.members],
                upload,
            )
            return self._over.submit(system, arguments, payload)

    def _names(
        self, bundle: Bundle, options: ImportOptions
    ) -> tuple[str | None, Sequence[str]]:
        """The name of the group, if it is one, and those of the systems."""
        found = [one.source.system for one in bundle.systems]
        group = None
        if isinstance(bundle, Lab):
            group = options.name or bundle.group
            self._group.check(group)
        elif options.name is not None:
            found = [options.name]
        found = [options.prefix + name for name in found]
        for name in found:
            rules.check_of_system(name)
        return group, found

    def _plan(
        self,
        bundle: Bundle,
        names: Sequence[str],
        definitions: Sequence[str],
        options: ImportOptions,
    ) -> Sequence[Planned]:
        """Where the files of each system go; raises what is in the way."""
        driver = importing(self._driver)
        macs = driver.map_macs(definitions, options.keep)
        requests = [
            ImportRequest(
                _identity(one, options.keep),
                name,
                definition,
                options.pool,
                options.start or _is_to_run(one, options),
                macs,
                options.memory and _has_memory(one),
            )
            for one, name, definition in zip(
                bundle.systems, names, definitions, strict=True
            )
        ]
        systems = {
            contract.System(request.uuid, request.name): number
            for number, request in enumerate(requests)
        }
        # There is more than one way to write a UUID.
        if len({system.uuid for system in systems}) < len(requests):
            raise exceptions.BundleInvalid('it has one UUID twice')

        def plan(system: contract.System) -> Planned:
            number = systems[system]
            others = bundle.systems[:number]
            members = bundle.systems[number].members
            files = driver.plan_import(
                requests[number], members, sum(map(_bytes, others))
            )
            return Planned(requests[number], files, members)

        if isinstance(bundle, Lab):
            return grouped.ask_all(list(systems), plan)
        return [plan(next(iter(systems)))]

    @contextlib.contextmanager
    def _uploading(self) -> Iterator[int]:
        """Note an upload, whose files go where the block fails."""
        with contextlib.ExitStack() as held:
            with self._db.transaction():
                upload = self._uploads.begin()
                # Before it is seen: one that nobody holds is removed.
                held.enter_context(self._locks.upload(upload))
            try:
                yield upload
            except BaseException:
                self._drop(upload)
                raise

    def _receive(
        self, path: str, member: Member, parts: Iterator[bytes]
    ) -> None:
        driver, offset = importing(self._driver), 0
        driver.make_file(path, member.size)
        for part in parts:
            driver.write_file(path, offset, part)
            offset += len(part)
        driver.check_file(path, member)

    def _submit(
        self,
        group: str | None,
        planned: Sequence[Planned],
        upload: int,
        payload: Mapping[str, Any],
    ) -> Task:
        with self._db.transaction():
            if group is None:
                task = self._single.submit(planned[0], upload, payload)
            else:
                task = self._group.submit(group, planned, upload, payload)
            self._uploads.hand_over(upload, task.id)
        return task

    def _drop(self, upload: int) -> None:
        """Remove the files of an upload, now or later."""
        for one in self._uploads.all():
            if one.id == upload:
                with contextlib.suppress(exceptions.HawkFishError):
                    importing(self._driver).remove_files(one.files)
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


def _check_memory(bundle: Bundle, options: ImportOptions) -> None:
    """Raise where no guest could go on."""
    if not options.memory:
        return
    if not any(map(_has_memory, bundle.systems)):
        raise exceptions.ImportNotPossible('the bundle has no memory')
    if not options.keep and options.over is None:
        # A device that is another one cannot be loaded.
        raise exceptions.ImportNotPossible(
            'a guest that goes on with its memory has the MAC addresses that '
            'it had, so identities have to be kept'
        )


def _has_memory(described: Manifest) -> bool:
    return any(one.role == manifest.MEMORY for one in described.members)


def _is_to_run(described: Manifest, options: ImportOptions) -> bool:
    """Whether its guest ran, and goes on."""
    ran = described.source.power_state == contract.ON
    return options.memory and _has_memory(described) and ran


def _text(parts: Iterator[bytes]) -> str:
    try:
        return b''.join(parts).decode()
    except UnicodeDecodeError:
        raise exceptions.BundleInvalid('its definition is no text') from None


def _identity(described: Manifest, keep: bool) -> str:
    """The UUID of what is made of it."""
    if not keep:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(described.source.uuid))
    except ValueError:
        raise exceptions.BundleInvalid(
            f'the UUID of system {described.source.system!r} is none'
        ) from None


def _bytes(described: Manifest) -> int:
    """What its files take at the most."""
    return sum(one.size for one in described.members)
