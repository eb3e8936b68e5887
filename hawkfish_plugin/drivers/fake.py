# SPDX-License-Identifier: Apache-2.0
"""
Snapshots of the emulator's fake systems.

Owns the snapshot trees of ``--fake``, kept beside the emulator's own fake
state so that every process sees them.  It can be made slow, and made to fail
or die at a given step, and its systems can be made unsafe, which is useful for
testing clients.  Its systems have a power state but no data.  Long, as it
implements the whole contract.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from hawkfish_plugin import exceptions, messages, records
from hawkfish_plugin.drivers import (
    backups,
    behaviour,
    contract,
    exporting,
    importing,
    sharing,
)
from hawkfish_plugin.drivers.behaviour import Behaviour, Run
from hawkfish_plugin.drivers.contract import Meeting
from hawkfish_plugin.drivers.fake_backups import FakeBackups
from hawkfish_plugin.drivers.fake_bundles import FakeBundles
from hawkfish_plugin.drivers.fake_verifying import FakeVerifying
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.tree import ancestors, children

_DISK_BYTES = 2**16


class FakeDriver(FakeBundles, FakeBackups, FakeVerifying):
    """
    See ``contract.Driver``.

    *behaviour* controls its operations.  It may be changed at any time, and
    also affects an operation that is already running.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        emulator: Mapping[str, Any],
        systems: Callable[[], Any],
    ) -> None:
        self.behaviour: Behaviour = (
            emulator.get(behaviour.SETTING) or Behaviour()
        )
        # Of each of its systems.
        self.memory_bytes = 2**20
        self._include_memory = conf.snapshots.include_memory
        self._systems = systems
        self._trees = internals.persistent_dict(emulator, 'hawkfish-fake')
        # Those that a create has paused, as they would outlive the process.
        self._paused = internals.persistent_dict(
            emulator, 'hawkfish-fake-paused'
        )
        # Systems whose definition is an old one.
        self._outdated = internals.persistent_dict(
            emulator, 'hawkfish-fake-outdated'
        )
        self._staged = internals.persistent_dict(emulator, 'hawkfish-staged')
        self._files = internals.persistent_dict(emulator, 'hawkfish-files')
        self._backup = conf.backup
        self._repository = internals.persistent_dict(
            emulator, 'hawkfish-repository'
        )
        self._known = internals.persistent_dict(emulator, 'hawkfish-known')
        self._clones = internals.persistent_dict(emulator, 'hawkfish-clones')
        self.target = internals.state_folder(emulator)

    def plant(self, uuid: str, snapshots: Sequence[contract.Snapshot]) -> None:
        """Let the system have *snapshots*, oldest first, and no others."""
        self._trees[uuid] = [dataclasses.asdict(s) for s in snapshots]

    def clear(self) -> None:
        """Let no system have a snapshot."""
        self._trees.clear()

    def paused(self) -> Sequence[str]:
        """The UUIDs of the systems that a create has paused."""
        return list(self._paused)

    def outdate(self, uuid: str) -> None:
        """
        Make the system unsafe, as who defines an older definition of it does.

        It names a file that the current snapshot holds, until a repair or a
        revert; a system without a snapshot is safe.
        """
        self._outdated[uuid] = True

    def resolve(self, identity: str) -> contract.System:
        found = internals.identity(self._systems(), identity)
        if not found:
            raise exceptions.SystemNotFound(identity)
        return contract.System(*found)

    def systems(self) -> Sequence[contract.System]:
        found = []
        for uuid, tree in self._trees.items():
            # A system may be gone from the emulator's configuration.
            with contextlib.suppress(exceptions.SystemNotFound):
                found += [self.resolve(uuid)] if tree else []
        return found

    def power_states(self) -> Mapping[contract.System, str]:
        return {
            self.resolve(uuid): self._power_state(uuid)
            for uuid in self._systems().systems
        }

    def at_one_time(
        self, *systems: str
    ) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    carrying_out = at_one_time

    def snapshots(self, uuid: str) -> Sequence[contract.Snapshot]:
        self.resolve(uuid)
        return [
            contract.Snapshot(**fields) for fields in self._trees.get(uuid, ())
        ]

    def capabilities(self, uuid: str) -> contract.Capabilities:
        return contract.Capabilities(
            version='fake',
            external=True,
            internal=False,
            memory=True,
            quiesce=True,
            storage='External',
            findings=(*self.violations(uuid), *self._obstacles(uuid)),
        )

    # A driver of systems that can be unsafe --------------------------------

    def violations(self, uuid: str) -> Sequence[exceptions.Unsafe]:
        current = [s.name for s in self.snapshots(uuid) if s.current]
        if not current or not self._outdated.get(uuid):
            return ()
        name = current[0]
        return (exceptions.DefinitionOnSnapshot('vda', _file_of(name), name),)

    def check_start(self, uuid: str) -> None:
        exceptions.check(self.violations(uuid))

    def plan_repair(self, uuid: str) -> Sequence[sharing.Repair]:
        return [
            sharing.Repair('vda', str(found.args[1]), _file_of('present'))
            for found in self.violations(uuid)
        ]

    def repair(self, uuid: str) -> None:
        self._outdated.pop(uuid, None)

    # Snapshots -------------------------------------------------------------

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
        return contract.Inventory(
            tree, self._sizes(tree), self.behaviour.dependents
        )

    def _sizes(
        self, tree: Sequence[contract.Snapshot]
    ) -> Mapping[str, contract.Size]:
        """As if each had a disk that is written to, and some memory."""
        above, below = ancestors(tree), children(tree)
        return {
            s.name: contract.Size(
                self.memory_bytes if s.memory else 0,
                _DISK_BYTES if s.parent else 0,
                not (s.current or s.name in above or s.name in below),
            )
            for s in tree
        }

    @staticmethod
    def referrers(
        snapshots: Sequence[contract.Snapshot],
    ) -> Mapping[str, Sequence[str]]:
        """
        As libvirt's, but for its flaws.

        What others grow from is deleted only where it is above the current
        snapshot and has one child.
        """
        above, below = ancestors(snapshots), children(snapshots)
        return {
            s.name: below[s.name]
            for s in snapshots
            if s.name in below
            and (len(below[s.name]) > 1 or s.name not in above)
        }

    def describe(self, uuid: str, name: str, description: str) -> None:
        tree = self.snapshots(uuid)
        changed = dataclasses.replace(
            _find(tree, name), description=description
        )
        self.plant(uuid, [changed if s.name == name else s for s in tree])

    def renamed(self, uuid: str, old: str, new: str) -> None:
        pass

    def check_create(
        self, uuid: str, request: contract.CreateRequest
    ) -> contract.Forecast:
        exceptions.check([*self.violations(uuid), *self._obstacles(uuid)])
        memory = self._has_memory(uuid, request)
        size = contract.Size(
            self.memory_bytes if memory else 0,
            _DISK_BYTES if self.snapshots(uuid) else 0,
        )
        pause = self.behaviour.seconds if request.is_common else None
        return contract.Forecast(True, memory, size, pause=pause)

    def _created(
        self, request: contract.CreateRequest, made: contract.Snapshot
    ) -> contract.Created:
        quiesced = _quiesce(request, made.power_state)
        size = self.memory_bytes if made.memory else None
        return contract.Created(made.created, quiesced, size)

    def _obstacles(self, uuid: str) -> tuple[exceptions.HawkFishError, ...]:
        depth, most = len(self.snapshots(uuid)), self.behaviour.depth
        if most is None or depth < most or not self.behaviour.is_for(uuid):
            return ()
        return (exceptions.ChainTooDeep('vda', depth, most),)

    def _has_memory(self, uuid: str, request: contract.CreateRequest) -> bool:
        memory = request.memory
        if memory is None:
            memory = self._include_memory
        if request.consistency == contract.DISKS_ONLY:
            memory = False
        return bool(memory and self._power_state(uuid) == contract.ON)

    def _power_state(self, uuid: str) -> str:
        state = self.behaviour.power_state
        return state or str(self._systems().get_power_state(uuid))

    def check_revert(
        self, uuid: str, request: contract.RevertRequest
    ) -> contract.RevertForecast:
        target = _find(self.snapshots(uuid), request.name)
        # A system that is off is mended by it.
        if self._power_state(uuid) != contract.OFF:
            exceptions.check(self.violations(uuid))
        power_state = _power_after(target, request)
        memory = target.memory and request.power_state != contract.OFF
        return contract.RevertForecast(power_state, memory)

    def check_delete(self, uuid: str, name: str, forced: bool = False) -> None:
        tree = self.snapshots(uuid)
        _find(tree, name)
        exceptions.check(self.violations(uuid))
        if referrers := self.referrers(tree).get(name):
            raise exceptions.SnapshotReferenced(name, ', '.join(referrers))

    def create(
        self,
        uuid: str,
        request: contract.CreateRequest,
        context: contract.TaskContext,
    ) -> contract.Created:
        if self.exists(uuid, request.name):
            raise exceptions.SnapshotExists(request.name)
        self.check_create(uuid, request)
        run = Run(contract.CREATE, context, self.behaviour, uuid)
        run.step('prepare')
        context.meet(Meeting.FLUSHED)
        run.step('capture')
        try:
            if request.is_common:
                context.meet(Meeting.FROZEN)
            capture = self._pause(uuid, request)
            if request.is_common:
                context.meet(Meeting.PAUSED)
            run.pass_time()
            new = self._capture(uuid, request)
            if request.is_common:
                # Whoever asked for all of them removes it.
                with contextlib.suppress(exceptions.MeetingMissed):
                    context.meet(Meeting.CAPTURED)
        except exceptions.OperationCancelled:
            self._uncapture(uuid, request.name)
            raise
        finally:
            self._paused.pop(uuid, None)
        run.step('finish', _CreateJournal(new.created))
        if capture and request.is_common:
            pause = time.monotonic() - capture.monotonic
            capture = dataclasses.replace(capture, pause=pause)
        return dataclasses.replace(
            self._created(request, new), capture=capture
        )

    def _pause(
        self, uuid: str, request: contract.CreateRequest
    ) -> contract.Capture | None:
        """Pause a system that runs, where all of its group are."""
        if request.consistency is None or (
            self._power_state(uuid) != contract.ON
        ):
            return None
        if request.is_common:
            self._paused[uuid] = True
        return contract.Capture(time.time(), time.monotonic())

    def _capture(
        self, uuid: str, request: contract.CreateRequest
    ) -> contract.Snapshot:
        tree, power_state = self.snapshots(uuid), self._power_state(uuid)
        new = contract.Snapshot(
            name=request.name,
            description=request.description,
            created=int(time.time()),
            power_state=power_state,
            memory=self._has_memory(uuid, request),
            external=True,
            parent=next((s.name for s in tree if s.current), None),
            current=True,
        )
        others = [dataclasses.replace(s, current=False) for s in tree]
        self.plant(uuid, [*others, new])
        return new

    def _uncapture(self, uuid: str, name: str) -> None:
        if self.exists(uuid, name):
            self.plant(uuid, _without(self.snapshots(uuid), name))

    def revert(
        self,
        uuid: str,
        request: contract.RevertRequest,
        context: contract.TaskContext,
    ) -> None:
        self.check_revert(uuid, request)
        run = Run(contract.REVERT, context, self.behaviour, uuid)
        run.step('prepare')
        context.meet(Meeting.PREPARED)
        run.step('revert')
        run.pass_time()
        try:
            context.meet(Meeting.LOADED)
        except exceptions.MeetingMissed as exc:
            # Its memory is replaced by then.
            raise exceptions.RevertGivenUp(
                request.name,
                messages.text(exc).rstrip('.'),
                'started anew, as its memory was lost',
            ) from exc
        tree = self.snapshots(uuid)
        power_state = _power_after(_find(tree, request.name), request)
        # At once, as libvirt's: a reset from before it has come to nothing.
        internals.set_fake_power(
            self._systems(), uuid, on=power_state != contract.OFF
        )
        self.plant(
            uuid,
            [
                dataclasses.replace(s, current=s.name == request.name)
                for s in tree
            ],
        )
        self.repair(uuid)
        self._known.pop(uuid, None)
        run.step('finish')

    def delete(
        self, uuid: str, name: str, context: contract.TaskContext
    ) -> None:
        run = Run(contract.DELETE, context, self.behaviour, uuid)
        self._delete(uuid, name, run)

    def _delete(self, uuid: str, name: str, run: Run) -> None:
        self.check_delete(uuid, name)
        run.step('prepare')
        try:
            run.step('merge', contract.DeleteJournal(merging=True))
            run.pass_time()
        except exceptions.OperationFailed:
            # It was refused: nothing is half overwritten.
            run.note('merge', contract.DeleteJournal(merging=False))
            raise
        self.plant(uuid, _without(self.snapshots(uuid), name))
        run.step('finish')

    def settle_create(
        self,
        uuid: str,
        request: contract.CreateRequest,
        context: contract.TaskContext,
    ) -> contract.Created:
        self._paused.pop(uuid, None)
        for snapshot in self.snapshots(uuid):
            if snapshot.name == request.name:
                return self._created(request, snapshot)
        raise exceptions.OperationInterrupted(
            contract.CREATE, 'there is no such snapshot'
        )

    def made_by(
        self, uuid: str, name: str, journal: contract.Journal
    ) -> int | None:
        created = journal.recall(_CreateJournal).created
        mine = (name, created)
        there = {(s.name, s.created) for s in self.snapshots(uuid)}
        return created if mine in there else None

    def settle_revert(
        self,
        uuid: str,
        request: contract.RevertRequest,
        context: contract.TaskContext,
    ) -> None:
        try:
            target = _find(self.snapshots(uuid), request.name)
        except exceptions.SnapshotNotFound as exc:
            raise exceptions.RevertNotUndone(
                request.name,
                'it was interrupted',
                messages.text(exc).rstrip('.'),
            ) from exc
        if not target.current:
            raise exceptions.OperationInterrupted(
                contract.REVERT, 'the system is as it was'
            )

    def settle_delete(
        self, uuid: str, name: str, context: contract.TaskContext
    ) -> None:
        if self.exists(uuid, name):
            self._delete(
                uuid, name, Run(contract.DELETE, context, Behaviour(), uuid)
            )

    def resume_delete(
        self, uuid: str, name: str, context: contract.TaskContext
    ) -> None:
        if self.exists(uuid, name):
            self._delete(
                uuid, name, Run(contract.DELETE, context, self.behaviour, uuid)
            )


@dataclasses.dataclass(frozen=True)
class _CreateJournal(records.Record):
    """*created* is the time of what was made."""

    created: int | None = None


def _power_after(
    target: contract.Snapshot, request: contract.RevertRequest
) -> str:
    if request.power_state != contract.AS_CAPTURED:
        return request.power_state
    return target.power_state or contract.OFF


def _file_of(state: str) -> str:
    """The path of the disk that would hold *state*."""
    return f'/fake/{state}.qcow2'


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


def _without(
    tree: Sequence[contract.Snapshot], name: str
) -> list[contract.Snapshot]:
    gone = _find(tree, name)
    return [
        dataclasses.replace(
            s,
            parent=gone.parent if s.parent == name else s.parent,
            current=s.current or (gone.current and s.name == gone.parent),
        )
        for s in tree
        if s.name != name
    ]


if TYPE_CHECKING:
    # What the layers above may take it for.
    _driver: type[contract.Driver] = FakeDriver
    _finds: type[sharing.FindsUnsafe] = FakeDriver
    _exports: type[exporting.Exports] = FakeDriver
    _imports: type[importing.Imports] = FakeDriver
    _backs_up: type[backups.BacksUp] = FakeDriver
