# SPDX-License-Identifier: Apache-2.0
"""The snapshots of one system, and its policy."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from sushy.resources import base

from hawkfish_plugin.client import common, shared, tasks, typed, verifying
from hawkfish_plugin.client.exports import Export

REVERT = '#HawkFishSnapshot.Revert'
EXPORT = '#HawkFishSnapshot.Export'
VERIFY = '#HawkFishSnapshot.Verify'
PURGE = '#HawkFishSnapshotCollection.Purge'
REPAIR = '#HawkFishSnapshotCollection.Repair'
PREVIEW = '#HawkFishSnapshotPolicy.PreviewCreate'


@tasks.created_by_tasks
class Snapshot(shared.AnySnapshot):
    """One snapshot of a system, at the time it was read."""

    snapshot_type: str = base.Field('SnapshotType')
    """``Disk`` or ``DiskAndMemory``"""

    storage_type: str = base.Field('StorageType')
    """``External`` or ``Internal``"""

    consistency: str | None = base.Field('Consistency')
    """``Memory``, ``FileSystem``, ``Crash`` or ``Off``"""

    quiesce_status: str | None = base.Field('QuiesceStatus')
    """``Quiesced``, ``NotNeeded``, ``NotRequested`` or ``Failed``"""

    power_state: str | None = base.Field('PowerState')
    """Power state of the system in the snapshot: On, Off or Paused"""

    referenced_by: list[str] = base.Field(
        ['Links', 'ReferencedBy'], adapter=common.names_in
    )
    """Names of the snapshots and systems that prevent its deletion"""

    referenced_by_files: list[str] = base.Field('ReferencedByFiles')
    """Paths of the files that prevent it and belong to no system"""

    group_snapshots: list[tuple[str, str]] = base.Field(
        ['Links', 'GroupSnapshots'],
        default=[],
        adapter=common.group_snapshots_in,
    )
    """The names of the groups, and of their snapshots, that it is a part of"""

    last_verified: datetime.datetime | None = base.Field(
        'LastVerified', adapter=common.moment
    )
    """When the snapshot was last verified, or None"""

    verify_result: str | None = base.Field('VerifyResult')
    """``Passed`` or ``Failed``, or None"""

    verification: dict[str, Any] | None = base.Field('Verification')
    """What was found: ``MemoryLoaded``, ``Checks``, ``LeftOut`` and
    ``ScreenshotURI``, as in Redfish"""

    _revert_target = base.Field(['Actions', REVERT, 'target'])

    @property
    def _revert_uri(self) -> str:
        # If there is no target, the service can explain why.
        return self._revert_target or f'{self.path}/Actions/{REVERT[1:]}'

    def revert(
        self,
        target_power_state: str | None = None,
        safety_snapshot: bool | None = None,
        force: bool | None = None,
    ) -> tasks.TaskHandle[None]:
        """
        Revert the system, which discards its current state.

        *target_power_state* is AsCaptured (the default of the service), On,
        Off or Paused. *safety_snapshot* saves the current state in a snapshot
        first. *force* leaves the firmware state unchanged if its copies
        cannot be used.
        """
        return tasks.post(
            self._conn,
            self._revert_uri,
            TargetPowerState=target_power_state,
            SafetySnapshot=safety_snapshot,
            Force=force,
        )

    def preview_revert(
        self,
        target_power_state: str | None = None,
        safety_snapshot: bool | None = None,
        force: bool | None = None,
    ) -> dict[str, Any]:
        """
        Return what a revert would do, without changing anything.

        That has ``PowerState``, ``MemoryRestored``, ``DiscardedSince``,
        ``SafetySnapshot``, ``Pruned``, ``Needs`` and ``Warnings``.
        """
        body = common.given(
            TargetPowerState=target_power_state,
            SafetySnapshot=safety_snapshot,
            Force=force,
            DryRun=True,
        )
        found: dict[str, Any] = self._conn.post(
            self._revert_uri, data=body
        ).json()
        return found

    def export(self, memory: bool | None = None) -> tasks.TaskHandle[Export]:
        """
        Make the snapshot ready to be fetched as a bundle.

        With *memory*, including the memory that it has.
        """
        target = f'{self.path}/Actions/{EXPORT[1:]}'
        return tasks.create(self._conn, target, Export, Memory=memory)

    def verify(
        self,
        memory: bool | None = None,
        run_time: common.Seconds | None = None,
        agent: bool | None = None,
        console: str | None = None,
        command: Sequence[str] | None = None,
        screenshot: bool | None = None,
        deadline: common.Seconds | None = None,
        deadlines: Mapping[str, common.Seconds] | None = None,
    ) -> tasks.TaskHandle[None]:
        """
        Bring up an isolated clone of the snapshot, check it, throw it away.

        The clone has to run for *run_time*. With *agent*, the guest agent
        has to answer; *console* is what a line of the console has to contain,
        where ``*`` is anything; *command* is a program of the guest and its
        arguments, which has to return 0. *deadline* is the time for each
        check, unless *deadlines* has one for it: by ``Agent``, ``Console``
        and ``Command``. The task fails if a check does; read the snapshot
        again for what was found.
        """
        return tasks.post(
            self._conn,
            f'{self.path}/Actions/{VERIFY[1:]}',
            Memory=memory,
            **verifying.body(
                run_time,
                agent,
                console,
                command,
                screenshot,
                deadline,
                deadlines,
            ),
        )

    def screenshot(self) -> bytes | None:
        """Return the PNG file of the last verification, if there is one."""
        return verifying.picture(self._conn, self.verification)


class SnapshotCollection(common.Collection[Snapshot]):
    """The snapshots of one system; nothing is read before it is needed."""

    _kind = Snapshot

    def create(
        self,
        name: str | None = None,
        description: str | None = None,
        include_memory: bool | None = None,
        quiesce: str | None = None,
        locked: bool | None = None,
        expires_time: common.When | None = None,
    ) -> tasks.TaskHandle[Snapshot]:
        """Create a snapshot; the service chooses what is None."""
        return tasks.create(
            self._conn,
            self.path,
            Snapshot,
            Name=name,
            Description=description,
            IncludeMemory=include_memory,
            Quiesce=quiesce,
            Locked=locked,
            ExpiresTime=common.stamp(expires_time),
        )

    def purge(self, force: bool | None = None) -> tasks.TaskHandle[None]:
        """Delete all snapshots; with *force*, including locked ones."""
        return tasks.post(
            self._conn, f'{self.path}/Actions/{PURGE[1:]}', Force=force
        )

    def plan_repair(self) -> list[dict[str, str]]:
        """
        Return what a repair of the system would change, by disk.

        Each has ``Disk``, ``PathBefore`` and ``PathAfter``.
        """
        target = f'{self.path}/Actions/{REPAIR[1:]}'
        response = self._conn.post(target, data={'DryRun': True})
        found: list[dict[str, str]] = response.json()['Repairs']
        return found

    def repair(self) -> tasks.TaskHandle[None]:
        """Put an unsafe system back on the files that it was on."""
        return tasks.post(self._conn, f'{self.path}/Actions/{REPAIR[1:]}')


class Preview(typed.Resource):
    """The result that a create would have had when it was requested."""

    name: str = base.Field('Name')
    snapshot_type: str = base.Field('SnapshotType')
    storage_type: str = base.Field('StorageType')
    size_bytes: int | None = base.Field('SizeBytes')
    """Maximum size of the snapshot in bytes, or None if unknown"""

    needs: list[dict[str, Any]] = base.Field('Needs')
    """Bytes needed and bytes available for each directory"""

    pruned: list[dict[str, Any]] = base.Field('Pruned')
    """Snapshots that would be deleted, in order, each with the reason"""

    kept: list[dict[str, Any]] = base.Field('Kept')
    """Snapshots that would be kept, each with the reasons"""

    unmet_limits: list[str] = base.Field('UnmetLimits')
    """Limits that would still be exceeded"""

    def __repr__(self) -> str:
        return f'<Preview of {self.name!r}>'


class Limits(TypedDict, total=False):
    """The limits that can be set; None means the configured value."""

    max_snapshots: int | None
    max_age: common.Seconds | None
    max_bytes: int | None
    on_limit: str | None
    """``Prune`` or ``Refuse``"""

    keep_newest_verified: bool | None


_LIMITS: common.Properties = {
    'max_snapshots': ('MaxSnapshots', common.as_given),
    'max_age': ('MaxAgeSeconds', common.whole_seconds),
    'max_bytes': ('MaxBytes', common.as_given),
    'on_limit': ('OnLimit', common.as_given),
    'keep_newest_verified': ('KeepNewestVerified', common.as_given),
}


class SnapshotPolicy(typed.Resource):
    """The limits of one system; 0 means no limit."""

    max_snapshots: int = base.Field('MaxSnapshots')
    max_age: datetime.timedelta = base.Field(
        'MaxAgeSeconds', adapter=common.span
    )
    max_bytes: int = base.Field('MaxBytes')
    on_limit: str = base.Field('OnLimit')
    """``Prune`` or ``Refuse``"""

    keep_newest_verified: bool = base.Field('KeepNewestVerified')
    """Whether the newest snapshot that has passed a verification is kept"""

    snapshot_count: int = base.Field(['Usage', 'SnapshotCount'])
    size_bytes: int = base.Field(['Usage', 'SizeBytes'])
    findings: Sequence[dict[str, Any]] = base.Field(
        ['Capabilities', 'Findings'], default=()
    )
    """What prevents a snapshot of the system, as messages of Redfish"""

    _preview_target = base.Field(['Actions', PREVIEW, 'target'], required=True)

    def __repr__(self) -> str:
        system = common.name_in({'@odata.id': self.path.split('/Oem/')[0]})
        return f'<SnapshotPolicy of {system}>'

    def update(self, **changes: Unpack[Limits]) -> 'SnapshotPolicy':
        """
        Set limits; None means the configured value, 0 no limit.

        Fails if the policy has changed since it was read.
        """
        content = common.patch(self, common.body_of(_LIMITS, changes))
        return SnapshotPolicy(self._conn, self.path, json_doc=content)

    def preview(
        self,
        name: str | None = None,
        description: str | None = None,
        include_memory: bool | None = None,
        quiesce: str | None = None,
        locked: bool | None = None,
        expires_time: common.When | None = None,
    ) -> Preview:
        """Return what ``SnapshotCollection.create`` would do."""
        body = common.given(
            Name=name,
            Description=description,
            IncludeMemory=include_memory,
            Quiesce=quiesce,
            Locked=locked,
            ExpiresTime=common.stamp(expires_time),
        )
        target = self._preview_target
        response = self._conn.post(target, data=body)
        return Preview(self._conn, target, json_doc=response.json())
