# SPDX-License-Identifier: Apache-2.0
"""
Groups of systems, which are Redfish's Aggregates, and their snapshots.

A snapshot of a group has one name in all of its members.
"""

from collections.abc import Iterable
from typing import Any

from sushy.resources import base

from hawkfish_plugin.client import common, shared, tasks, typed
from hawkfish_plugin.client.exports import Export

GROUPS = '/redfish/v1/AggregationService/Aggregates'
ADD = '#Aggregate.AddElements'
REMOVE = '#Aggregate.RemoveElements'
RESET = '#Aggregate.Reset'
BOOT_ORDER = '#Aggregate.SetDefaultBootOrder'
REVERT = '#HawkFishGroupSnapshot.Revert'
EXPORT = '#HawkFishGroupSnapshot.Export'
PREVIEW = '#HawkFishGroupSnapshotCollection.PreviewCreate'
ADOPT = '#HawkFishGroupSnapshotCollection.Adopt'


@tasks.created_by_tasks
class GroupSnapshot(shared.AnySnapshot):
    """One snapshot of a group, at the time it was read."""

    consistency: str | None = base.Field('Consistency')
    """``Consistent``, ``Live`` or ``DisksOnly``; None if it was adopted"""

    skew_ms: float | None = base.Field('SkewMilliseconds')
    """Milliseconds between the first capture and the last, as measured"""

    pause_ms: float | None = base.Field('PauseMilliseconds')
    """Milliseconds that the members were suspended, as measured"""

    systems: list[dict[str, Any]] = base.Field('Systems')
    """Of each member ``Name``, ``UUID``, ``SnapshotState`` and so on"""

    findings: list[dict[str, Any]] = base.Field('Findings')
    """Messages that say why it is not ``Ready``, and what can be done"""

    _revert_target = base.Field(['Actions', REVERT, 'target'])

    def revert(
        self,
        target_power_state: str | None = None,
        safety_snapshot: bool | None = None,
        force: bool | None = None,
        added_systems: str | None = None,
        partial: bool | None = None,
    ) -> tasks.TaskHandle[None]:
        """
        Revert all members, which discards their current state.

        If one fails, the others are brought back to where they were. The
        first three arguments are as for the snapshot of one system.
        *added_systems* is Refuse (the default of the service) or LeaveAlone,
        for systems that the group has gained since. *partial* reverts an
        incomplete snapshot on the members that have it.
        """
        return tasks.post(
            self._conn,
            self._revert_uri,
            TargetPowerState=target_power_state,
            SafetySnapshot=safety_snapshot,
            Force=force,
            AddedSystems=added_systems,
            Partial=partial,
        )

    def preview_revert(
        self,
        target_power_state: str | None = None,
        safety_snapshot: bool | None = None,
        force: bool | None = None,
        added_systems: str | None = None,
        partial: bool | None = None,
    ) -> dict[str, Any]:
        """
        Return what a revert would do, without changing anything.

        That has ``SafetySnapshot``, ``Systems``, ``LeftAlone`` and ``Needs``.
        Each of ``Systems`` has ``Name``, ``PowerState``, ``MemoryRestored``,
        ``DiscardedSince`` and ``Warnings``.
        """
        body = common.given(
            TargetPowerState=target_power_state,
            SafetySnapshot=safety_snapshot,
            Force=force,
            AddedSystems=added_systems,
            Partial=partial,
            DryRun=True,
        )
        found: dict[str, Any] = self._conn.post(
            self._revert_uri, data=body
        ).json()
        return found

    @property
    def _revert_uri(self) -> str:
        # If there is no target, the service can explain why.
        return self._revert_target or f'{self.path}/Actions/{REVERT[1:]}'

    def export(self, memory: bool | None = None) -> tasks.TaskHandle[Export]:
        """
        Make the snapshots of all members ready to be fetched as one bundle.

        With *memory*, including the memory that they have.
        """
        target = f'{self.path}/Actions/{EXPORT[1:]}'
        return tasks.create(self._conn, target, Export, Memory=memory)


class GroupSnapshotCollection(common.Collection[GroupSnapshot]):
    """The snapshots of one group; nothing is read before it is needed."""

    _kind = GroupSnapshot

    def create(
        self,
        name: str | None = None,
        description: str | None = None,
        consistency: str | None = None,
        quiesce: str | None = None,
        locked: bool | None = None,
        expires_time: common.When | None = None,
    ) -> tasks.TaskHandle[GroupSnapshot]:
        """
        Create a snapshot of all members, or of none if one fails.

        *consistency* is Consistent (the default of the service), Live or
        DisksOnly. The service chooses what is None.
        """
        return tasks.create(
            self._conn,
            self.path,
            GroupSnapshot,
            Name=name,
            Description=description,
            Consistency=consistency,
            Quiesce=quiesce,
            Locked=locked,
            ExpiresTime=common.stamp(expires_time),
        )

    def preview(
        self,
        name: str | None = None,
        description: str | None = None,
        consistency: str | None = None,
        quiesce: str | None = None,
        locked: bool | None = None,
        expires_time: common.When | None = None,
    ) -> dict[str, Any]:
        """Return what ``create`` would do, in the words of Redfish."""
        body = common.given(
            Name=name,
            Description=description,
            Consistency=consistency,
            Quiesce=quiesce,
            Locked=locked,
            ExpiresTime=common.stamp(expires_time),
        )
        target = f'{self.path}/Actions/{PREVIEW[1:]}'
        seen: dict[str, Any] = self._conn.post(target, data=body).json()
        return seen

    def adopt(
        self, name: str | None = None, dry_run: bool | None = None
    ) -> list[dict[str, Any]]:
        """
        Make snapshots of the group of those that its members have anyway.

        Returns ``Name`` and ``CreatedTime`` of each that was adopted, or with
        *dry_run* would be: of the same name, and of the same time.
        """
        response = self._conn.post(
            f'{self.path}/Actions/{ADOPT[1:]}',
            data=common.given(Name=name, DryRun=dry_run),
        )
        adopted: list[dict[str, Any]] = response.json()['Adopted']
        return adopted


class Group(typed.Resource):
    """One group of systems, at the time it was read."""

    identity: str = base.Field('Id', required=True)
    name: str = base.Field('Name')
    elements: list[str] = base.Field('Elements', adapter=common.names_in)
    """UUIDs of the members that exist"""

    systems: list[dict[str, Any]] = base.Field(
        ['Oem', 'HawkFish', 'Systems'], default=[]
    )
    """Of each member ``Name``, ``UUID`` and whether it is ``Present``"""

    def __repr__(self) -> str:
        return f'<Group {self.name!r}>'

    @property
    def snapshots(self) -> GroupSnapshotCollection:
        """The snapshots of this group."""
        return snapshots_of(self._conn, self.path)

    def add(self, systems: Iterable[str]) -> 'Group':
        """Add *systems*, names or UUIDs, and return the changed group."""
        return self._change(ADD, systems)

    def remove(self, systems: Iterable[str]) -> 'Group':
        """Remove *systems*, names or UUIDs; they keep their snapshots."""
        return self._change(REMOVE, systems)

    def _change(self, action: str, systems: Iterable[str]) -> 'Group':
        body = {'Elements': common.elements(systems)}
        self._conn.post(self._target(action), data=body)
        return Group(self._conn, self.path)

    def reset(
        self,
        reset_type: str,
        batch_size: int | None = None,
        batch_delay: common.Seconds | None = None,
    ) -> tasks.TaskHandle[None]:
        """
        Reset all members, *batch_size* at a time with a delay in between.

        *reset_type* is one of Redfish's, such as On or ForceOff.
        """
        return tasks.post(
            self._conn,
            self._target(RESET),
            ResetType=reset_type,
            BatchSize=batch_size,
            DelayBetweenBatchesInSeconds=common.whole_seconds(batch_delay),
        )

    def set_default_boot_order(self) -> tasks.TaskHandle[None]:
        """Let all members boot in their default order."""
        return tasks.post(self._conn, self._target(BOOT_ORDER))

    def _target(self, action: str) -> str:
        return f'{self.path}/Actions/{action[1:]}'

    def delete(self) -> None:
        """Delete the group; its members and their snapshots stay."""
        self._conn.delete(self.path)


def snapshots_of(conn: Any, group: str) -> GroupSnapshotCollection:
    """Return the snapshots of the group at the path *group*."""
    return GroupSnapshotCollection(conn, f'{group}/Oem/HawkFish/Snapshots')


def groups_at(conn: Any) -> list[Group]:
    """Return all groups of the service at *conn*, with one request."""
    return common.read_all(Group, conn, GROUPS)
