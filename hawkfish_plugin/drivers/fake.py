# SPDX-License-Identifier: Apache-2.0
"""
Snapshots of the emulator's fake systems.

Owns the snapshot trees of ``--fake``, kept beside the emulator's own fake
state so that every process sees them.  Can be told to be slow or to fail at a
step, which makes it the driver to try clients with.  A system has no data
here, only a power state.
"""

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from oslo_config import cfg
from sushy_tools import error
from sushy_tools.emulator import memoize

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract

_TO_POWER_STATE = {contract.ON: 'On', contract.OFF: 'ForceOff'}
_POLL_SECONDS = 0.05
_MEMORY_BYTES, _DISK_BYTES = 2**20, 2**16


class FakeDriver:
    """
    See ``contract.Driver``.

    *seconds* is how long each operation takes; *failures* maps the name of a
    step to the error that is raised when it is reached.  *cloned* are the
    dependents of snapshots, by the names of these; *depth* how many snapshots
    there is room for, where that is limited.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        emulator: Mapping[str, Any],
        systems: Callable[[], Any],
    ) -> None:
        self.seconds = 0.0
        self.failures: dict[str, Exception] = {}
        self.depth: int | None = None
        self.cloned: dict[str, list[contract.Dependent]] = {}
        self._include_memory = conf.snapshots.include_memory
        self._systems = systems
        self._trees = memoize.PersistentDict()
        folder = emulator.get('SUSHY_EMULATOR_STATE_DIR')
        self._trees.make_permanent(folder, 'hawkfish-fake')
        self.target = str(folder or self._trees.DBPATH)

    def losses(self) -> int:
        return 0

    def resolve(self, identity: str) -> contract.System:
        systems = self._systems()
        try:
            uuid = systems.uuid(identity)
            return contract.System(uuid, systems.name(uuid))
        except error.NotFound:
            raise exceptions.SystemNotFound(identity) from None

    def changes_when_read(self, uuid: str) -> bool:
        return False

    def drives(self, uuid: str) -> None:
        return None

    def snapshots(self, uuid: str) -> Sequence[contract.Snapshot]:
        return [
            contract.Snapshot(**fields) for fields in self._trees.get(uuid, ())
        ]

    def sweep(self, noted: Collection[str]) -> Sequence[str]:
        return ()

    def capabilities(self, uuid: str) -> contract.Capabilities:
        return contract.Capabilities(
            version='fake',
            external=True,
            internal=False,
            memory=True,
            quiesce=True,
            storage='External',
        )

    def systems(self) -> Sequence[contract.System]:
        return [self.resolve(uuid) for uuid in self._trees if uuid]

    def names(self, uuid: str) -> Sequence[str]:
        return [snapshot.name for snapshot in self.snapshots(uuid)]

    def exists(self, uuid: str, name: str) -> bool:
        return name in self.names(uuid)

    def inventory(
        self,
        uuid: str,
        freshness: contract.Freshness = contract.Freshness.CACHED,
    ) -> contract.Inventory:
        tree = self.snapshots(uuid)
        return contract.Inventory(tree, _sizes(tree), self.cloned)

    def describe(self, uuid: str, name: str, description: str) -> None:
        self._keep(
            uuid,
            [
                dataclasses.replace(s, description=description)
                if s.name == name
                else s
                for s in self.snapshots(uuid)
            ],
        )

    def check_create(
        self, uuid: str, request: contract.CreateRequest
    ) -> contract.Forecast:
        tree = self.snapshots(uuid)
        if self.depth is not None and len(tree) >= self.depth:
            raise exceptions.ChainTooDeep('vda', len(tree), self.depth)
        memory = self._has_memory(uuid, request)
        own = _MEMORY_BYTES if memory else 0
        return contract.Forecast(
            True, memory, contract.Size(own, _DISK_BYTES if tree else 0)
        )

    def _has_memory(self, uuid: str, request: contract.CreateRequest) -> bool:
        memory = request.memory
        if memory is None:
            memory = self._include_memory
        on = self._systems().get_power_state(uuid) == contract.ON
        return bool(memory and on)

    def check_revert(self, uuid: str, request: contract.RevertRequest) -> None:
        """Every snapshot can be reverted to here."""

    def check_delete(self, uuid: str, name: str) -> None:
        """The tree alone decides, and the caller has looked at it."""

    def create(
        self,
        uuid: str,
        request: contract.CreateRequest,
        job: contract.TaskContext,
    ) -> contract.Created:
        self.check_create(uuid, request)
        self._step(job, 'prepare')
        self._step(job, 'capture')
        self._pass_time(job)
        memory = self._has_memory(uuid, request)
        tree = list(self.snapshots(uuid))
        power_state = self._systems().get_power_state(uuid)
        new = contract.Snapshot(
            name=request.name,
            description=request.description,
            created=int(time.time()),
            power_state=power_state,
            memory=memory,
            external=True,
            parent=next((s.name for s in tree if s.current), None),
            current=True,
        )
        self._keep(uuid, [*_without_current(tree), new])
        self._step(job, 'finish')
        return contract.Created(_quiesce(request, power_state))

    def revert(
        self,
        uuid: str,
        request: contract.RevertRequest,
        job: contract.TaskContext,
    ) -> None:
        self._step(job, 'prepare')
        tree = list(self.snapshots(uuid))
        target = _find(tree, request.name)
        self._step(job, 'revert')
        self._pass_time(job)
        power_state = request.power_state
        if power_state == contract.AS_CAPTURED:
            power_state = target.power_state or contract.OFF
        self._systems().set_power_state(
            uuid, _TO_POWER_STATE.get(power_state, 'On')
        )
        self._keep(
            uuid,
            [
                dataclasses.replace(s, current=s.name == request.name)
                for s in tree
            ],
        )
        self._step(job, 'finish')

    def delete(self, uuid: str, name: str, job: contract.TaskContext) -> None:
        self._step(job, 'prepare')
        tree = list(self.snapshots(uuid))
        gone = _find(tree, name)
        if contract.referrers(tree, name):
            raise exceptions.OperationFailed('delete', 'others need it')
        self._step(job, 'merge', merging=True)
        self._pass_time(job)
        self._keep(
            uuid,
            [
                dataclasses.replace(
                    s,
                    parent=gone.parent if s.parent == name else s.parent,
                    current=s.current
                    or gone.current
                    and s.name == gone.parent,
                )
                for s in tree
                if s.name != name
            ],
        )
        self._step(job, 'finish')

    def settle_create(
        self,
        uuid: str,
        request: contract.CreateRequest,
        job: contract.TaskContext,
    ) -> contract.Created:
        for snapshot in self.snapshots(uuid):
            if snapshot.name == request.name:
                return contract.Created(
                    _quiesce(request, snapshot.power_state)
                )
        raise exceptions.OperationInterrupted(
            'create', 'there is no such snapshot'
        )

    def settle_revert(
        self,
        uuid: str,
        request: contract.RevertRequest,
        job: contract.TaskContext,
    ) -> None:
        if not _find(self.snapshots(uuid), request.name).current:
            raise exceptions.OperationInterrupted(
                'revert', 'the system stands where it stood before'
            )

    def settle_delete(
        self, uuid: str, name: str, job: contract.TaskContext
    ) -> None:
        if any(s.name == name for s in self.snapshots(uuid)):
            self.delete(uuid, name, job)

    def _keep(self, uuid: str, tree: Sequence[contract.Snapshot]) -> None:
        self._trees[uuid] = [dataclasses.asdict(s) for s in tree]

    def _step(
        self, job: contract.TaskContext, name: str, **facts: Any
    ) -> None:
        job.step(name, **facts)
        if name in self.failures:
            raise self.failures[name]

    def _pass_time(self, job: contract.TaskContext) -> None:
        begin = time.monotonic()
        while (passed := time.monotonic() - begin) < self.seconds:
            job.progress(int(100 * passed / self.seconds))
            if job.cancelled:
                raise exceptions.OperationCancelled('create')
            time.sleep(_POLL_SECONDS)


def _quiesce(
    request: contract.CreateRequest, power_state: str | None
) -> contract.Quiesce:
    if power_state != contract.ON:
        return contract.Quiesce(contract.NOT_NEEDED)
    if request.quiesce == contract.NEVER:
        return contract.Quiesce(contract.NOT_REQUESTED)
    return contract.Quiesce(contract.QUIESCED)


def _find(tree: Sequence[contract.Snapshot], name: str) -> contract.Snapshot:
    for snapshot in tree:
        if snapshot.name == name:
            return snapshot
    raise exceptions.SnapshotNotFound(name)


def _without_current(
    tree: Sequence[contract.Snapshot],
) -> list[contract.Snapshot]:
    return [dataclasses.replace(s, current=False) for s in tree]


def _sizes(tree: Sequence[contract.Snapshot]) -> Mapping[str, contract.Size]:
    """As if each had a disk that is written to, and some memory."""
    above, below = contract.ancestors(tree), contract.children(tree)
    return {
        s.name: contract.Size(
            _MEMORY_BYTES if s.memory else 0,
            _DISK_BYTES if s.parent else 0,
            not (s.current or s.name in above or s.name in below),
        )
        for s in tree
    }
