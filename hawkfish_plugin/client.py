# SPDX-License-Identifier: Apache-2.0
"""
The Python SDK: HawkFish's resources for sushy.

``system.get_oem_extension('HawkFish')`` reaches them from a sushy System,
:class:`HawkFish` from a URL alone, loading neither the service root nor the
System. Errors are sushy's own, in the server's words. Every operation
returns a :class:`TaskHandle`, and only the server's task monitor says that
a task has ended, and how.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib import parse

import requests
from sushy import connector, exceptions, taskmonitor
from sushy.resources import base
from sushy.resources.oem import base as oem_base
from sushy.resources.taskservice import task as sushy_task

SYSTEMS = '/redfish/v1/Systems'
TASKS = '/redfish/v1/TaskService/Tasks'
REVERT = '#HawkFishSnapshot.Revert'

# Short operations are seen to end at once; long ones cost a request a second.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
# A task outlives a restart of the emulator, so a wait does as well.
RESTART_GRACE = 10.0


# What sushy's own wait raises is a ConnectionError as well.
class TaskTimeout(exceptions.ConnectionError):  # type: ignore[misc]
    """The task still ran when the caller's patience ended."""

    message = 'Task %(task)s is still running after %(timeout)g seconds'


def messages(error: exceptions.SushyError) -> list[str]:
    """
    Return what the service says about *error*, and what to do about it.

    The emulator's own errors carry a MessageId and nothing else.
    """
    told = getattr(error, 'extended_info', None)
    lines = []
    for info in told if isinstance(told, list) else ():
        if info.get('Message'):
            lines += [info['Message'], info.get('Resolution', '')]
    return [line for line in lines if line.rstrip('.') not in ('', 'None')]


def _name_in(link: dict[str, str]) -> str:
    return parse.unquote(link['@odata.id'].rpartition('/')[2])


def _names_in(links: list[dict[str, str]]) -> list[str]:
    return [_name_in(link) for link in links]


def _members(conn: Any, path: str) -> Iterator[Any]:
    """Yield a collection's members in full, with one request per page."""
    page: str | None = f'{path}?$expand=.'
    while page:
        body = conn.get(page).json()
        yield from body.get('Members', ())
        page = body.get('Members@odata.nextLink')


class Task(sushy_task.Task):  # type: ignore[misc]
    """A task of the service, with what HawkFish tells about it."""

    operation: str | None = base.Field(['Oem', 'HawkFish', 'Operation'])
    snapshot: str | None = base.Field(['Oem', 'HawkFish', 'Snapshot'])
    """Name of the snapshot that the task works on"""

    system: str | None = base.Field(
        ['Oem', 'HawkFish', 'System'], adapter=_name_in
    )
    """Identity of that snapshot's system"""

    @property
    def warnings(self) -> list[str]:
        """What the user should know, even if the task succeeded."""
        return [
            message['Message']
            for message in self.json.get('Messages', ())
            if message.get('MessageSeverity', 'OK') != 'OK'
        ]

    def wait(
        self,
        timeout_sec: float = math.inf,
        progress: Callable[['Task'], None] | None = None,
    ) -> 'Snapshot | None':
        """Wait for the end, as :meth:`TaskHandle.wait` does."""
        handle = TaskHandle(self._conn, self.task_monitor)
        return handle.wait(timeout_sec, progress)

    def cancel(self) -> None:
        """Ask the service to stop the task; an ended one is forgotten."""
        self._conn.delete(self.path)


class TaskHandle(taskmonitor.TaskMonitor):  # type: ignore[misc]
    """
    sushy's TaskMonitor of an operation, with a wait that can be watched.

    All of sushy's interface works; the task it shows is a :class:`Task`.
    """

    @property
    def identity(self) -> str:
        """The task's id."""
        return _name_in({'@odata.id': self.task_monitor_uri})

    @property
    def task(self) -> Task | None:
        """The task as last seen, or None once it has ended."""
        if self._task is None:
            return None
        path = f'{TASKS}/{self.identity}'
        return Task(self._connector, path, json_doc=self._task.json)

    def wait(
        self,
        timeout_sec: float = math.inf,
        progress: Callable[[Task], None] | None = None,
    ) -> 'Snapshot | None':
        """
        Wait for the real end; return the snapshot that was created, if any.

        *progress* is called with the task each time the service was asked.
        Raises the service's error if the task failed or was cancelled, and
        TaskTimeout if it still runs after *timeout_sec* seconds.
        """
        deadline = time.monotonic() + timeout_sec
        pause = FIRST_PAUSE
        last_seen = time.monotonic()
        while self.is_processing:
            task = self.task
            if progress and task:
                progress(task)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TaskTimeout(task=self.identity, timeout=timeout_sec)
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)
            try:
                self.refresh()
                last_seen = time.monotonic()
            except exceptions.ConnectionError:
                if time.monotonic() - last_seen > RESTART_GRACE:
                    raise
        return self._created()

    def cancel(self) -> None:
        """Ask the service to stop the task; an ended one is forgotten."""
        self._connector.delete(self.task_monitor_uri)

    def _created(self) -> 'Snapshot | None':
        if self.response.status_code != requests.codes.created:
            return None
        path, body = self.response.headers['Location'], self.response.json()
        return Snapshot(self._connector, path, json_doc=body)


def _handle(conn: Any, response: requests.Response) -> TaskHandle:
    return TaskHandle(conn, response.headers['Location'], response=response)


def _post(conn: Any, path: str, **values: Any) -> TaskHandle:
    given = {key: value for key, value in values.items() if value is not None}
    return _handle(conn, conn.post(path, data=given))


class Snapshot(base.ResourceBase):  # type: ignore[misc]
    """One snapshot of a system, as it was when it was read."""

    identity: str = base.Field('Id', required=True)
    name: str = base.Field('Name')
    description: str | None = base.Field('Description')
    created_time: str | None = base.Field('CreatedTime')
    snapshot_state: str = base.Field('SnapshotState')
    """``Creating``, ``Ready``, ``Reverting``, ``Deleting`` or ``Failed``"""

    snapshot_type: str = base.Field('SnapshotType')
    """``Disk`` or ``DiskAndMemory``"""

    storage_type: str = base.Field('StorageType')
    """``External`` or ``Internal``"""

    consistency: str | None = base.Field('Consistency')
    """``Memory``, ``FileSystem``, ``Crash`` or ``Off``"""

    quiesce_status: str | None = base.Field('QuiesceStatus')
    """``Quiesced``, ``NotNeeded``, ``NotRequested`` or ``Failed``"""

    power_state: str | None = base.Field('PowerState')
    """The system's power state in the snapshot: On, Off or Paused"""

    is_current: bool = base.Field('Current')
    """Whether the system's present state grows from this snapshot"""

    health: str | None = base.Field(['Status', 'Health'])
    size_bytes: int | None = base.Field('SizeBytes')
    """Bytes that the snapshot takes, or None where the service is silent"""

    parent: str | None = base.Field(
        ['Links', 'ParentSnapshot'], adapter=_name_in
    )
    """Name of the snapshot that this one was made on top of, or None"""

    children: list[str] = base.Field(
        ['Links', 'ChildSnapshots'], adapter=_names_in
    )
    """Names of the snapshots made on top of this one"""

    _revert_target = base.Field(['Actions', REVERT, 'target'])

    def revert(
        self,
        target_power_state: str | None = None,
        safety_snapshot: bool | None = None,
    ) -> TaskHandle:
        """
        Bring the system back; what it did since the snapshot is lost.

        *target_power_state* is AsCaptured (the service's default), On, Off
        or Paused. With *safety_snapshot* the present state is kept first.
        """
        # Where no target is offered, the service can say why.
        target = self._revert_target or f'{self.path}/Actions/{REVERT[1:]}'
        return _post(
            self._conn,
            target,
            TargetPowerState=target_power_state,
            SafetySnapshot=safety_snapshot,
        )

    def delete(self) -> TaskHandle:
        """Delete the snapshot; the system's present state stays."""
        return _handle(self._conn, self._conn.delete(self.path))


class SnapshotCollection:
    """The snapshots of one system; nothing is fetched before it is asked."""

    def __init__(self, conn: connector.Connector, path: str) -> None:
        self._conn = conn
        self.path = path

    def get_members(self) -> list[Snapshot]:
        """Return every snapshot, oldest first, read in one request."""
        return [
            Snapshot(self._conn, member['@odata.id'], json_doc=member)
            for member in _members(self._conn, self.path)
        ]

    def get(self, name: str) -> Snapshot:
        """Return the snapshot called *name*."""
        return Snapshot(self._conn, f'{self.path}/{parse.quote(name, "")}')

    def create(
        self,
        name: str | None = None,
        description: str | None = None,
        include_memory: bool | None = None,
        quiesce: str | None = None,
    ) -> TaskHandle:
        """Start a snapshot; what is None is left to the service to choose."""
        return _post(
            self._conn,
            self.path,
            Name=name,
            Description=description,
            IncludeMemory=include_memory,
            Quiesce=quiesce,
        )


class HawkFishSystem(oem_base.OEMResourceBase):  # type: ignore[misc]
    """HawkFish's part of a sushy System."""

    _snapshots_path = base.Field(['Snapshots', '@odata.id'], required=True)

    @property
    def snapshots(self) -> SnapshotCollection:
        """The snapshots of this system."""
        return SnapshotCollection(self._conn, self._snapshots_path)


def get_extension() -> type[HawkFishSystem]:
    """Tell sushy which class holds HawkFish's part of a System."""
    return HawkFishSystem


class HawkFish:
    """
    A HawkFish service at *url*, with Basic authentication if needed.

    *verify* is True, False or the path of a CA file. No request is sent
    twice, so nothing happens twice; a GET alone gets a second chance.
    """

    def __init__(
        self,
        url: str,
        username: str | None = None,
        password: str | None = None,
        verify: bool | str = True,
    ) -> None:
        self.url = url
        self.username = username
        # One attempt is sushy's least: 0 stands for three, 2 s apart.
        self._conn = connector.Connector(
            url, verify=verify, server_side_retries=1
        )
        if username is not None:
            self._conn.set_http_basic_auth(username, password or '')

    def snapshots(self, system: str) -> SnapshotCollection:
        """The snapshots of *system*, a UUID or a name."""
        path = f'{SYSTEMS}/{parse.quote(system, "")}/Oem/HawkFish/Snapshots'
        return SnapshotCollection(self._conn, path)

    def tasks(self) -> list[Task]:
        """Return every task, as served, read in one request."""
        return [
            Task(self._conn, member['@odata.id'], json_doc=member)
            for member in _members(self._conn, TASKS)
        ]

    def task(self, identity: str) -> Task:
        """Return the task whose id is *identity*."""
        return Task(self._conn, f'{TASKS}/{parse.quote(identity, "")}')
