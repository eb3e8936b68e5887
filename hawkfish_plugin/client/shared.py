# SPDX-License-Identifier: Apache-2.0
"""What the snapshots of systems and those of groups have in common."""

import datetime
from typing import Self, TypedDict, Unpack

from sushy.resources import base

from hawkfish_plugin.client import common, tasks, typed


class Changes(TypedDict, total=False):
    """What can be changed of a snapshot."""

    description: str | None
    locked: bool
    expires_time: common.When | None
    """None for one that does not expire"""


_PROPERTIES: common.Properties = {
    'description': ('Description', common.as_given),
    'locked': ('Locked', common.as_given),
    'expires_time': ('ExpiresTime', common.stamp),
}


class AnySnapshot(typed.Resource):
    """A snapshot of a system, or of a group, at the time it was read."""

    identity: str = base.Field('Id', required=True)
    name: str = base.Field('Name')
    description: str | None = base.Field('Description')
    created_time: datetime.datetime | None = base.Field(
        'CreatedTime', adapter=common.moment
    )
    snapshot_state: str = base.Field('SnapshotState')
    """
    ``Creating``, ``Ready``, ``Reverting``, ``Deleting`` or ``Failed``; that of
    a group also ``Mixed`` if some members were reverted alone, or
    ``Incomplete`` if some have it no more
    """

    is_current: bool = base.Field('Current')
    """Whether it is the current snapshot of the system, or of all members"""

    health: str | None = base.Field(['Status', 'Health'])
    size_bytes: int | None = base.Field('SizeBytes')
    """Size of the snapshot in bytes, or None if it is unknown"""

    exclusive_size_bytes: int | None = base.Field('ExclusiveSizeBytes')
    """Bytes that deleting it frees at least, or None if unknown"""

    locked: bool = base.Field('Locked')
    """Whether it is locked against deletion and pruning"""

    expires_time: datetime.datetime | None = base.Field(
        'ExpiresTime', adapter=common.moment
    )
    """When it can be pruned regardless of the limits, or None"""

    parent: str | None = base.Field(
        ['Links', 'ParentSnapshot'], adapter=common.name_in
    )
    """Name of the parent snapshot, or None"""

    children: list[str] = base.Field(
        ['Links', 'ChildSnapshots'], adapter=common.names_in
    )
    """Names of the child snapshots"""

    def __repr__(self) -> str:
        return f'<{type(self).__name__} {self.name!r}: {self.snapshot_state}>'

    def update(self, **changes: Unpack[Changes]) -> Self:
        """
        Change ``description``, ``locked`` or ``expires_time``.

        Fails if the snapshot has changed since it was read. That of a group
        is changed in all members.
        """
        content = common.patch(self, common.body_of(_PROPERTIES, changes))
        return type(self)(self._conn, self.path, json_doc=content)

    def delete(self) -> tasks.TaskHandle[None]:
        """Delete the snapshot; each system keeps its current state."""
        return tasks.handle_of(self._conn, self._conn.delete(self.path))
