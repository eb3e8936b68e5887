# SPDX-License-Identifier: Apache-2.0
"""What the snapshots of systems and those of groups have in common."""

from typing import Any, Generic, Self, TypeVar

from sushy.resources import base

from hawkfish_plugin.client import common, tasks


class AnySnapshot(base.ResourceBase):  # type: ignore[misc]
    """A snapshot of a system, or of a group, at the time it was read."""

    identity: str = base.Field('Id', required=True)
    name: str = base.Field('Name')
    description: str | None = base.Field('Description')
    created_time: str | None = base.Field('CreatedTime')
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

    expires_time: str | None = base.Field('ExpiresTime')
    """When it can be pruned regardless of the limits, or None"""

    parent: str | None = base.Field(
        ['Links', 'ParentSnapshot'], adapter=common.name_in
    )
    """Name of the parent snapshot, or None"""

    children: list[str] = base.Field(
        ['Links', 'ChildSnapshots'], adapter=common.names_in
    )
    """Names of the child snapshots"""

    def update(self, **changes: Any) -> Self:
        """
        Change ``Description``, ``Locked`` or ``ExpiresTime``.

        Fails if the snapshot has changed since it was read. That of a group
        is changed in all members.
        """
        body = common.patch(self, changes)
        return type(self)(self._conn, self.path, json_doc=body)

    def delete(self) -> tasks.TaskHandle[None]:
        """Delete the snapshot; each system keeps its current state."""
        return tasks.handle_of(self._conn, self._conn.delete(self.path))


S = TypeVar('S', bound=AnySnapshot)


class Snapshots(Generic[S]):
    """A collection of them; nothing is read before it is needed."""

    _kind: type[S]

    def __init__(self, conn: Any, path: str) -> None:
        self._conn = conn
        self.path = path

    def get_members(self) -> list[S]:
        """Return all snapshots, oldest first, with one request."""
        return [
            self._kind(self._conn, member['@odata.id'], json_doc=member)
            for member in common.members(self._conn, self.path)
        ]

    def get(self, name: str) -> S:
        """Return the snapshot *name*."""
        return self._kind(self._conn, common.below(self.path, name))
