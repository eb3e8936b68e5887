# SPDX-License-Identifier: Apache-2.0
"""The backups of one system."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from sushy.resources import base

from hawkfish_plugin.client import common, tasks, typed, verifying

VERIFY = 'HawkFishBackup.Verify'
RESTORE = 'HawkFishBackup.Restore'


@tasks.created_by_tasks
class Backup(typed.Resource):
    """A backup of a system, at the time it was read."""

    identity: str = base.Field('Id', required=True)
    description: str | None = base.Field('Description')
    backup_type: str = base.Field('BackupType')
    """``Full`` or ``Incremental``"""

    full_reason: str | None = base.Field('FullReason')
    """Why it is full, or None"""

    state: str = base.Field('BackupState')
    """``Ready`` or ``Deleting``"""

    created_time: datetime.datetime = base.Field(
        'CreatedTime', adapter=common.moment
    )
    power_state: str = base.Field('PowerState')
    """Power state of the system when it was made: On, Off or Paused"""

    quiesce_status: str = base.Field('QuiesceStatus')
    """``Quiesced``, ``NotNeeded``, ``NotRequested`` or ``Failed``"""

    size_bytes: int = base.Field('SizeBytes')
    """Size of its files in bytes, without those that it stands on"""

    pool: str = base.Field('Pool')
    """Name of the storage pool that has its files"""

    last_verified: datetime.datetime | None = base.Field(
        'LastVerified', adapter=common.moment
    )
    verify_result: str | None = base.Field('VerifyResult')
    """``Passed``, ``Failed`` or None"""

    verify_finding: str | None = base.Field('VerifyFinding')
    """What the last verification has found wrong, or None"""

    verification: dict[str, Any] | None = base.Field('Verification')
    """The checks of the last verification as the service has them, or None"""

    parent: str | None = base.Field(
        ['Links', 'Parent'], adapter=common.name_in
    )
    """ID of the backup that it stands on, or None"""

    children: list[str] = base.Field(
        ['Links', 'Children'], adapter=common.names_in
    )
    """IDs of the backups that stand on it"""

    def __repr__(self) -> str:
        return f'<Backup {self.identity}: {self.backup_type}, {self.state}>'

    def verify(
        self,
        boot: bool | None = None,
        run_time: common.Seconds | None = None,
        agent: bool | None = None,
        console: str | None = None,
        command: Sequence[str] | None = None,
        screenshot: bool | None = None,
        deadline: common.Seconds | None = None,
        deadlines: Mapping[str, common.Seconds] | None = None,
    ) -> tasks.TaskHandle[None]:
        """
        Check that all files that it consists of and stands on are whole.

        With *boot*, or any of the checks of ``Snapshot.verify``, an isolated
        clone is booted then, checked, and thrown away. The task fails if a
        check does; read the backup again for what was found.
        """
        return tasks.post(
            self._conn,
            f'{self.path}/Actions/{VERIFY}',
            Boot=boot,
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

    def restore(
        self,
        name: str | None = None,
        pool: str | None = None,
        start: bool | None = None,
        over: str | None = None,
    ) -> tasks.TaskHandle[None]:
        """
        Make a new system of it, or restore it over a system.

        *name* is by default that of the system, which must be gone then;
        *pool* is the storage pool of the disks, by default the configured
        one.  *over* is the UUID or name of a system that is put on the disks
        of the backup instead, after a safety snapshot.
        """
        return tasks.post(
            self._conn,
            f'{self.path}/Actions/{RESTORE}',
            Name=name,
            Pool=pool,
            Start=start,
            Over=over,
        )

    def delete(self) -> tasks.TaskHandle[None]:
        """Delete it; none may stand on it."""
        return tasks.handle_of(self._conn, self._conn.delete(self.path))


class BackupCollection(common.Collection[Backup]):
    """The backups of one system; nothing is read before it is needed."""

    _kind = Backup

    def create(
        self,
        full: bool = False,
        description: str | None = None,
        quiesce: str | None = None,
    ) -> tasks.TaskHandle[Backup]:
        """
        Back up the system as it is at this moment.

        Unless *full*, only what has changed since the last backup is stored,
        where that is known.
        """
        return tasks.create(
            self._conn,
            self.path,
            Backup,
            BackupType='Full' if full else None,
            Description=description,
            Quiesce=quiesce,
        )
