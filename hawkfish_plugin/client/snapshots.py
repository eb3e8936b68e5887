# SPDX-License-Identifier: Apache-2.0
"""The snapshots of one system, and its policy."""

from collections.abc import Sequence
from typing import Any

from sushy.resources import base

from hawkfish_plugin.client import common, shared, tasks
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

    last_verified: str | None = base.Field('LastVerified')
    """When the snapshot was last verified, or None"""

    verify_result: str | None = base.Field('VerifyResult')
    """``Passed`` or ``Failed``, or None"""

    verification: dict[str, Any] | None = base.Field('Verification')
    """What was found: ``MemoryLoaded``, ``Checks``, ``LeftOut`` and
    ``ScreenshotURI``, as in Redfish"""

    _revert_target = base.Field(['Actions', REVERT, 'target'])

    def __repr__(self) -> str:
        return f'<Snapshot {self.name!r}: {self.snapshot_state}>'

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
        return tasks.post(self._conn, target, Memory=memory)

    def verify(
        self,
        memory: bool | None = None,
        run_seconds: int | None = None,
        agent: bool | None = None,
        console: str | None = None,
        command: Sequence[str] | None = None,
        screenshot: bool | None = None,
        deadline: int | None = None,
    ) -> tasks.TaskHandle[None]:
        """
        Bring up an isolated clone of the snapshot, check it, throw it away.

        The clone has to run for *run_seconds*. With *agent*, the guest agent
        has to answer; *console* is what a line of the console has to contain,
        where ``*`` is anything; *command* is a program of the guest and its
        arguments, which has to return 0. Each has *deadline* seconds. The
        task fails if a check does; read the snapshot again for what was found.
        """
        return tasks.post(
            self._conn,
            f'{self.path}/Actions/{VERIFY[1:]}',
            Memory=memory,
            RunSeconds=run_seconds,
            Agent=agent,
            ConsolePattern=console,
            Command=None if command is None else list(command),
            Screenshot=screenshot,
            DeadlineSeconds=deadline,
        )

    def screenshot(self) -> bytes | None:
        """Return the PNG file of the last verification, if there is one."""
        uri = (self.verification or {}).get('ScreenshotURI')
        if uri is None:
            return None
        found: bytes = self._conn.get(uri).content
        return found


class SnapshotCollection(shared.Snapshots[Snapshot]):
    """The snapshots of one system; nothing is read before it is needed."""

    _kind = Snapshot

    def create(
        self,
        name: str | None = None,
        description: str | None = None,
        include_memory: bool | None = None,
        quiesce: str | None = None,
        locked: bool | None = None,
        expires_time: str | None = None,
    ) -> tasks.TaskHandle[Snapshot]:
        """Create a snapshot; the service chooses what is None."""
        return tasks.post(
            self._conn,
            self.path,
            Name=name,
            Description=description,
            IncludeMemory=include_memory,
            Quiesce=quiesce,
            Locked=locked,
            ExpiresTime=expires_time,
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


class Preview(base.ResourceBase):  # type: ignore[misc]
    """The result that a create would have had when it was requested."""

    name = base.Field('Name')
    snapshot_type = base.Field('SnapshotType')
    storage_type = base.Field('StorageType')
    size_bytes = base.Field('SizeBytes')
    """Maximum size of the snapshot in bytes, or None if unknown"""

    needs = base.Field('Needs')
    """Bytes needed and bytes available for each directory"""

    pruned = base.Field('Pruned')
    """Snapshots that would be deleted, in order, each with the reason"""

    kept = base.Field('Kept')
    """Snapshots that would be kept, each with the reasons"""

    unmet_limits = base.Field('UnmetLimits')
    """Limits that would still be exceeded"""


class SnapshotPolicy(base.ResourceBase):  # type: ignore[misc]
    """The limits of one system; 0 means no limit."""

    max_snapshots = base.Field('MaxSnapshots')
    max_age_seconds = base.Field('MaxAgeSeconds')
    max_bytes = base.Field('MaxBytes')
    on_limit = base.Field('OnLimit')
    """``Prune`` or ``Refuse``"""

    keep_newest_verified = base.Field('KeepNewestVerified')
    """Whether the newest snapshot that has passed a verification is kept"""

    snapshot_count = base.Field(['Usage', 'SnapshotCount'])
    size_bytes = base.Field(['Usage', 'SizeBytes'])
    findings = base.Field(['Capabilities', 'Findings'], default=())
    """What prevents a snapshot of the system, as messages of Redfish"""

    _preview_target = base.Field(['Actions', PREVIEW, 'target'], required=True)

    def update(self, **changes: Any) -> 'SnapshotPolicy':
        """
        Set limits, named as in Redfish; None means the configured value.

        Fails if the policy has changed since it was read.
        """
        body = common.patch(self, changes)
        return SnapshotPolicy(self._conn, self.path, json_doc=body)

    def preview(self, **properties: Any) -> Preview:
        """Return what a create with the given *properties* would do."""
        target = self._preview_target
        response = self._conn.post(target, data=common.given(**properties))
        return Preview(self._conn, target, json_doc=response.json())
