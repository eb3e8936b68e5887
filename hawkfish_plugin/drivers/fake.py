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

from hawkfish_plugin import drivers, exceptions

_TO_POWER_STATE = {drivers.ON: 'On', drivers.OFF: 'ForceOff'}
_POLL_SECONDS = 0.05
_MEMORY_BYTES, _DISK_BYTES = 2**20, 2**16


class FakeDriver:
    """
    See ``drivers.Driver``.

    *seconds* is how long each operation takes; *failures* maps the name of a
    step to the error that is raised when it is reached.  *cloned* are the
    clones of snapshots, by the names of these; *depth* how many snapshots
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
        self.cloned: dict[str, list[drivers.Clone]] = {}
        self._include_memory = conf.snapshots.include_memory
        self._systems = systems
        self._trees = memoize.PersistentDict()
        folder = emulator.get('SUSHY_EMULATOR_STATE_DIR')
        self._trees.make_permanent(folder, 'hawkfish-fake')
        self.target = str(folder or self._trees.DBPATH)

    def losses(self) -> int:
        return 0

    def resolve(self, identity: str) -> drivers.System:
        systems = self._systems()
        try:
            uuid = systems.uuid(identity)
            return drivers.System(uuid, systems.name(uuid))
        except error.NotFound:
            raise exceptions.SystemNotFound(identity) from None

    def changes_when_read(self, uuid: str) -> bool:
        return False

    def drives(self, uuid: str) -> None:
        return None

    def snapshots(self, uuid: str) -> Sequence[drivers.Snapshot]:
        return [
            drivers.Snapshot(**fields) for fields in self._trees.get(uuid, ())
        ]

    def sweep(self, noted: Collection[str]) -> Sequence[str]:
        return ()

    def capabilities(self, uuid: str) -> drivers.Capabilities:
        return drivers.Capabilities(
            version='fake',
            external=True,
            internal=False,
            memory=True,
            quiesce=True,
            storage='External',
        )

    def systems(self) -> Sequence[drivers.System]:
        return [self.resolve(uuid) for uuid in self._trees if uuid]

    def names(self, uuid: str) -> Sequence[str]:
        return [snapshot.name for snapshot in self.snapshots(uuid)]

    def exists(self, uuid: str, name: str) -> bool:
        return name in self.names(uuid)

    def survey(
        self, uuid: str, look: drivers.Look = drivers.Look.RECENT
    ) -> drivers.Survey:
        tree = self.snapshots(uuid)
        return drivers.Survey(tree, _sizes(tree), self.cloned)

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
        self, uuid: str, request: drivers.CreateRequest
    ) -> drivers.Forecast:
        tree = self.snapshots(uuid)
        if self.depth is not None and len(tree) >= self.depth:
            raise exceptions.ChainTooDeep('vda', len(tree), self.depth)
        memory = self._has_memory(uuid, request)
        own = _MEMORY_BYTES if memory else 0
        return drivers.Forecast(
            True, memory, drivers.Size(own, _DISK_BYTES if tree else 0)
        )

    def _has_memory(self, uuid: str, request: drivers.CreateRequest) -> bool:
        memory = request.memory
        if memory is None:
            memory = self._include_memory
        on = self._systems().get_power_state(uuid) == drivers.ON
        return bool(memory and on)

    def check_revert(self, uuid: str, request: drivers.RevertRequest) -> None:
        """Every snapshot can be reverted to here."""

    def check_delete(self, uuid: str, name: str) -> None:
        """The tree alone decides, and the caller has looked at it."""

    def create(
        self, uuid: str, request: drivers.CreateRequest, job: drivers.Job
    ) -> drivers.Created:
        self.check_create(uuid, request)
        self._step(job, 'prepare')
        self._step(job, 'capture')
        self._pass_time(job)
        memory = self._has_memory(uuid, request)
        tree = list(self.snapshots(uuid))
        power_state = self._systems().get_power_state(uuid)
        new = drivers.Snapshot(
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
        return drivers.Created(_quiesce(request, power_state))

    def revert(
        self, uuid: str, request: drivers.RevertRequest, job: drivers.Job
    ) -> None:
        self._step(job, 'prepare')
        tree = list(self.snapshots(uuid))
        target = _find(tree, request.name)
        self._step(job, 'revert')
        self._pass_time(job)
        power_state = request.power_state
        if power_state == drivers.AS_CAPTURED:
            power_state = target.power_state or drivers.OFF
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

    def delete(self, uuid: str, name: str, job: drivers.Job) -> None:
        self._step(job, 'prepare')
        tree = list(self.snapshots(uuid))
        gone = _find(tree, name)
        if drivers.referrers(tree, name):
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
        self, uuid: str, request: drivers.CreateRequest, job: drivers.Job
    ) -> drivers.Created:
        for snapshot in self.snapshots(uuid):
            if snapshot.name == request.name:
                return drivers.Created(_quiesce(request, snapshot.power_state))
        raise exceptions.OperationInterrupted(
            'create', 'there is no such snapshot'
        )

    def settle_revert(
        self, uuid: str, request: drivers.RevertRequest, job: drivers.Job
    ) -> None:
        if not _find(self.snapshots(uuid), request.name).current:
            raise exceptions.OperationInterrupted(
                'revert', 'the system stands where it stood before'
            )

    def settle_delete(self, uuid: str, name: str, job: drivers.Job) -> None:
        if any(s.name == name for s in self.snapshots(uuid)):
            self.delete(uuid, name, job)

    def _keep(self, uuid: str, tree: Sequence[drivers.Snapshot]) -> None:
        self._trees[uuid] = [dataclasses.asdict(s) for s in tree]

    def _step(self, job: drivers.Job, name: str, **facts: Any) -> None:
        job.step(name, **facts)
        if name in self.failures:
            raise self.failures[name]

    def _pass_time(self, job: drivers.Job) -> None:
        begin = time.monotonic()
        while (passed := time.monotonic() - begin) < self.seconds:
            job.progress(int(100 * passed / self.seconds))
            if job.cancelled:
                raise exceptions.OperationCancelled('create')
            time.sleep(_POLL_SECONDS)


def _quiesce(
    request: drivers.CreateRequest, power_state: str | None
) -> drivers.Quiesce:
    if power_state != drivers.ON:
        return drivers.Quiesce(drivers.NOT_NEEDED)
    if request.quiesce == drivers.NEVER:
        return drivers.Quiesce(drivers.NOT_REQUESTED)
    return drivers.Quiesce(drivers.QUIESCED)


def _find(tree: Sequence[drivers.Snapshot], name: str) -> drivers.Snapshot:
    for snapshot in tree:
        if snapshot.name == name:
            return snapshot
    raise exceptions.SnapshotNotFound(name)


def _without_current(
    tree: Sequence[drivers.Snapshot],
) -> list[drivers.Snapshot]:
    return [dataclasses.replace(s, current=False) for s in tree]


def _sizes(tree: Sequence[drivers.Snapshot]) -> Mapping[str, drivers.Size]:
    """As if each had a disk that is written to, and some memory."""
    above, below = drivers.ancestors(tree), drivers.children(tree)
    return {
        s.name: drivers.Size(
            _MEMORY_BYTES if s.memory else 0,
            _DISK_BYTES if s.parent else 0,
            not (s.current or s.name in above or s.name in below),
        )
        for s in tree
    }
