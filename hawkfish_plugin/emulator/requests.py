# SPDX-License-Identifier: Apache-2.0
"""
What the emulator's own requests get from us.

Owns the lock that they share with our operations, the dropping of handles
that are dead or too many, and the links that are grafted into the
emulator's resources; ``media`` keeps its note of virtual media true.
Whatever of ours is missing or broken, the emulator goes on; only where it
could destroy data it is told to wait.
"""

import contextlib
import json
import logging
from collections.abc import Callable
from typing import Any

import flask

from hawkfish_plugin import exceptions, messages, redfish, tasks
from hawkfish_plugin.api import schemas as schemas_api
from hawkfish_plugin.api import tasks as tasks_api
from hawkfish_plugin.emulator import virtual_media

LOG = logging.getLogger(__name__)

# How long a request of the emulator waits for an operation of ours on the
# same system; well below the 60 s after which sushy gives up.
LOCK_SECONDS = 15.0

_MUTATING = frozenset(('POST', 'PUT', 'PATCH', 'DELETE'))
# How many domains the emulator may have handles of, in one process.
_MOST_HANDLES = 64
# The emulator adds its defaults to the definition when it first reads them.
_MUTATING_READS = frozenset(('system_resource', 'bios', 'bios_settings'))


class Neighbours:
    """The hooks around the requests of the emulator that has *plugin*."""

    def __init__(self, plugin: Any, systems: Callable[[], Any]) -> None:
        self._plugin = plugin
        self._systems = systems
        self._losses = 0
        self._uuids: set[str] = set()

    def before_request(self) -> flask.Response | None:
        """Prepare a request of the emulator, or answer in its place."""
        request = flask.request
        if request.endpoint == 'simple_task_service':
            return tasks_api.show_task_service()
        if request.endpoint == 'registry_file_collection' and not _is_full():
            return schemas_api.list_no_registries()
        try:
            self._drop_handles()
            self._lock_systems()
            if request.endpoint == 'VirtualMedia.virtual_media_resource':
                self._follow_media()
        except exceptions.HawkFishError as exc:
            if self._is_harmless(exc):
                LOG.debug('Not locked: %r', messages.text(exc))
                return None
            self.teardown_request(None)
            return flask.Response(
                json.dumps(redfish.error(exc)),
                exc.status,
                content_type='application/json',
            )
        return None

    def _is_harmless(self, error: exceptions.HawkFishError) -> bool:
        """Whether the emulator may go on without the lock."""
        if isinstance(
            error, exceptions.SystemLocked | exceptions.SystemUnsettled
        ):
            return False
        # Before anything of ours has started there is nothing to cross.
        if isinstance(error, exceptions.StateUnavailable):
            return not self._plugin.started
        # The emulator's own connection may work where ours does not; then it
        # is not known which system it is about to change.
        unknown = isinstance(
            error,
            exceptions.HypervisorUnavailable
            | exceptions.HypervisorBusy
            | exceptions.OperationFailed,
        )
        if not unknown or flask.request.method not in _MUTATING:
            return True
        return not (self._plugin.started and self._is_working())

    def _is_working(self) -> bool:
        """Whether an operation of ours is under way on any system."""
        return any(task.active for task in self._plugin.tasks.list())

    def _drop_handles(self) -> None:
        """
        Let the emulator look its domains up anew.

        It keeps the handle of every domain that it has ever found, each with
        a connection of its own.  After a libvirtd restart it would answer
        every request for them with an error until it is restarted too; and
        with thousands, libvirtd minds connections more than calls.
        """
        losses = self._plugin.driver.losses()
        kept = vars(self._systems()).get('_cache', {})
        if (
            losses != self._losses
            or sum(map(len, list(kept.values()))) > _MOST_HANDLES
        ):
            self._losses = losses
            vars(self._systems()).pop('_cache', None)

    def _lock_systems(self) -> None:
        """
        Let the emulator change a system only while no operation of ours does.

        Its setters read the definition of a system, change it and define it
        again; crossing a snapshot that could bring back the base image.
        """
        request = flask.request
        flask.g.hawkfish_locks = stack = contextlib.ExitStack()
        if request.method in _MUTATING:
            for identity in _touched():
                self._lock(stack, identity)
        elif request.endpoint in _MUTATING_READS:
            self._lock_reading(stack, (request.view_args or {})['identity'])

    def _lock(self, stack: contextlib.ExitStack, identity: str) -> None:
        uuid = self._plugin.driver.resolve(identity).uuid
        stack.enter_context(self._plugin.locks.system(uuid, LOCK_SECONDS))
        # Whoever works holds the lock: a task that has begun and does not
        # hold it was broken off, and its system may be half changed.
        for task in self._plugin.tasks.active(uuid).values():
            if task.step and task.state != tasks.NEW:
                raise exceptions.SystemUnsettled(uuid, task.operation, task.id)

    def _lock_reading(
        self, stack: contextlib.ExitStack, identity: str
    ) -> None:
        driver, locks = self._plugin.driver, self._plugin.locks
        uuid = self._resolve(identity)
        try:
            stack.enter_context(locks.system(uuid, 0, shared=True))
        except exceptions.SystemLocked:
            # Reading goes on while we work, where it does only read.
            if driver.changes_when_read(uuid):
                stack.enter_context(
                    locks.system(uuid, LOCK_SECONDS, shared=True)
                )

    def _resolve(self, identity: str) -> str:
        """The UUID of a system that is to be read."""
        # What was a UUID remains one; a name may be another's by now.
        if identity not in self._uuids:
            uuid: str = self._plugin.driver.resolve(identity).uuid
            if uuid != identity:
                return uuid
            self._uuids.add(uuid)
        return identity

    def _follow_media(self) -> None:
        driver, args = self._plugin.driver, flask.request.view_args or {}
        uuid = self._resolve(args['identity'])
        # While an operation, or an insertion, is under way nothing is known.
        with (
            contextlib.suppress(exceptions.SystemLocked),
            self._plugin.locks.system(uuid, 0, shared=True),
        ):
            drives = driver.drives(uuid)
            if drives is not None:
                vmedia = flask.current_app.vmedia  # type: ignore[attr-defined]
                virtual_media.follow(
                    vmedia, args['identity'], args['device'], uuid, drives
                )

    def teardown_request(self, _error: BaseException | None) -> None:
        stack = flask.g.pop('hawkfish_locks', None)
        if stack:
            stack.close()

    def after_request(self, response: flask.Response) -> flask.Response:
        """Graft our links into what the emulator has rendered."""
        request = flask.request
        graft = _GRAFTS.get(request.endpoint or '')
        # The emulator renders nothing for some HEAD requests.
        if graft and response.status_code == 200 and response.get_data():
            response.set_data(
                json.dumps(graft(json.loads(response.get_data())))
            )
        return response


def _is_full() -> bool:
    """Whether the emulator serves all that it has."""
    config = flask.current_app.config
    return bool(config.get('SUSHY_EMULATOR_FEATURE_SET', 'full') == 'full')


def _graft_system(body: redfish.Resource) -> redfish.Resource:
    oem = body.setdefault('Oem', {})
    oem['HawkFish'] = redfish.system_oem(body['@odata.id'])
    return body


def _graft_registries(body: redfish.Resource) -> redfish.Resource:
    """Our registries behind the emulator's, whose places clients may know."""
    listed = [*body['Members'], *schemas_api.registry_links()]
    return {**body, 'Members': listed, 'Members@odata.count': len(listed)}


_GRAFTS: dict[str, Callable[[redfish.Resource], redfish.Resource]] = {
    'root_resource': redfish.service_root,
    'system_resource': _graft_system,
    'registry_file_collection': _graft_registries,
}


def _touched() -> list[str]:
    """The systems that a mutating request of the emulator names."""
    request = flask.request
    identity = (request.view_args or {}).get('identity')
    if identity is not None:
        return [identity]
    if 'SimpleUpdate' not in request.path:
        return []
    body = request.get_json(silent=True)
    targets = body.get('Targets') if isinstance(body, dict) else None
    if not isinstance(targets, list):
        return []
    # In one order, so that two such requests cannot wait for each other.
    return sorted(
        {str(target).rstrip('/').rpartition('/')[2] for target in targets}
    )
