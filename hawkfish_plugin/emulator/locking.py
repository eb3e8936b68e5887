# SPDX-License-Identifier: Apache-2.0
"""
The locks that the emulator's requests share with our operations.

Owns which request takes the lock of which system, and which may go on without
it.  The emulator's setters read the definition of a system, change it and
define it again; crossing a snapshot, that could put the disk from before it
back into place.
"""

import contextlib
import functools
import time
from collections.abc import Iterable

import flask

from hawkfish_plugin import exceptions, locks
from hawkfish_plugin.api import noting
from hawkfish_plugin.drivers import contract, sharing
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.redfish.common import WRITING
from hawkfish_plugin.services import ForEmulator

# The emulator adds its defaults to the definition when it first reads them.
_WRITING_READS = frozenset(
    (internals.SYSTEM, internals.BIOS, internals.BIOS_SETTINGS)
)


class RequestLocks:
    """The locks of systems that the present request holds until its end."""

    def __init__(self, services: ForEmulator) -> None:
        self._services = services
        self._uuids: set[str] = set()

    def acquire(self) -> None:
        """
        Lock what the request is about to change.

        Raises SystemLocked after ``locks.REQUEST_TIMEOUT`` seconds,
        SystemUnsettled while an interrupted operation has not been recovered,
        and what the driver raises where it cannot tell which system it is.
        """
        request = flask.request
        flask.g.hawkfish_locks = held = contextlib.ExitStack()
        if request.endpoint == internals.INSERT_MEDIA:
            self._begin_insertion(held, internals.system_of(request) or '')
        elif request.method in WRITING:
            self._lock(held, _changed_systems(request))
        elif request.endpoint in _WRITING_READS:
            self._lock_reading(held, internals.system_of(request) or '')

    def release(self) -> None:
        held = flask.g.pop('hawkfish_locks', None)
        if held:
            held.close()

    def uuid_of(self, identity: str) -> str:
        """The UUID of a system that is to be read; raises SystemNotFound."""
        # What was a UUID remains one; a name may be another's by now.
        if identity not in self._uuids:
            uuid = self._services.driver.resolve(identity).uuid
            if uuid != identity:
                return uuid
            self._uuids.add(uuid)
        return identity

    def may_go_without(self, error: exceptions.HawkFishError) -> bool:
        """Whether the request may be served without the lock."""
        if flask.g.get('hawkfish_start_unchecked'):
            return False
        if isinstance(
            error,
            exceptions.SystemLocked
            | exceptions.SystemUnsettled
            | exceptions.TooManyDownloads
            | exceptions.Unsafe
            | exceptions.SystemHalfChanged,
        ):
            return False
        # Before anything of ours has started there is nothing to cross.
        if isinstance(error, exceptions.StateUnavailable):
            return not self._services.started
        # The emulator's own connection may work where ours does not; then it
        # is not known which system it is about to change.
        unknown = isinstance(
            error,
            exceptions.HypervisorAway
            | exceptions.HypervisorBusy
            | exceptions.OperationFailed,
        )
        if not unknown or flask.request.method not in WRITING:
            return True
        started = self._services.started
        return not (started and self._services.tasks.any_active())

    def finish_insertion(self) -> None:
        """
        Lock the system into whose drive the present request puts an image.

        Not before the image is there: to download it may take for ever.
        """
        uuid = flask.g.pop('hawkfish_insertion', None)
        if uuid is None:
            return
        try:
            self._lock(flask.g.hawkfish_locks, [uuid])
        except exceptions.HawkFishError as exc:
            if self.may_go_without(exc):
                return
            request = flask.request
            internals.note_ejected(
                flask.current_app,
                internals.system_of(request) or '',
                internals.device_of(request),
            )
            raise

    def _begin_insertion(
        self, held: contextlib.ExitStack, identity: str
    ) -> None:
        room = self._services.rooms.downloads
        if not room.enter():
            raise exceptions.TooManyDownloads(room.most)
        held.callback(room.leave)
        system = self._services.driver.resolve(identity)
        noting.note_systems(system)
        uuid = system.uuid
        held.enter_context(
            self._services.locks.media(
                uuid, locks.REQUEST_TIMEOUT, shared=True
            )
        )
        flask.g.hawkfish_insertion = uuid
        internals.guard_boot_image(
            internals.systems(flask.current_app), self.finish_insertion
        )

    def _lock(
        self, held: contextlib.ExitStack, identities: Iterable[str]
    ) -> None:
        """Lock systems, of which each may be named more than once."""
        resolve = self._services.driver.resolve
        until = time.monotonic() + locks.REQUEST_TIMEOUT
        systems = {s.uuid: s for s in map(resolve, identities)}
        noting.note_systems(*systems.values())
        # In one order, so that two such requests cannot wait for each other.
        for uuid, system in sorted(systems.items()):
            left = max(0.0, until - time.monotonic())
            held.enter_context(self._services.locks.system(uuid, left))
            self._check(system)

    def _check(self, system: contract.System) -> None:
        """Raise what a locked *system* has to be mended of first."""
        task = self._services.tasks.unsettled(system.uuid)
        if task:
            raise exceptions.SystemUnsettled(
                system.name, task.operation, task.id
            )
        # Of a system that is hidden, the emulator starts nothing.
        if internals.may_start(flask.request) and self._services.may_serve(
            system
        ):
            # A start that cannot be checked is refused, whatever the reason.
            flask.g.hawkfish_start_unchecked = True
            self._services.findings.check_start(system)
            del flask.g.hawkfish_start_unchecked

    def _lock_reading(self, held: contextlib.ExitStack, identity: str) -> None:
        uuid = self.uuid_of(identity)
        lock_files = self._services.locks
        # Reads share a system with each other, and with an operation that
        # shares it; but what that one relies on must not be redefined.
        for lock in (
            functools.partial(lock_files.system, shared=True),
            lock_files.definition,
        ):
            try:
                held.enter_context(lock(uuid, 0))
            except exceptions.SystemLocked:
                # Where reading changes nothing, it goes on while we work.
                if self._changes_when_read(uuid):
                    held.enter_context(lock(uuid, locks.REQUEST_TIMEOUT))

    def _changes_when_read(self, uuid: str) -> bool:
        driver = self._services.driver
        return isinstance(
            driver, sharing.SharesDefinitions
        ) and driver.changes_when_read(uuid)


def _changed_systems(request: flask.Request) -> list[str]:
    """The systems that a mutating request of the emulator names."""
    identity = internals.system_of(request)
    if identity is not None:
        return [identity]
    if request.endpoint != internals.SIMPLE_UPDATE:
        return []
    return internals.update_targets(request)
