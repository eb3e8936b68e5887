# SPDX-License-Identifier: Apache-2.0
"""
The Python SDK: HawkFish's resources for sushy.

``system.get_oem_extension('HawkFish')`` reaches them from a sushy System,
:class:`HawkFish` from a URL alone, loading neither the service root nor the
System. Errors are sushy's own, in the server's words. Every operation
returns a :class:`TaskHandle`, and only the server's task monitor says that
a task has ended, and how.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib import parse

import requests
from sushy import connector, exceptions, taskmonitor
from sushy.resources import base
from sushy.resources.oem import base as oem_base
from sushy.resources.taskservice import task as sushy_task

SYSTEMS = '/redfish/v1/Systems'
TASKS = '/redfish/v1/TaskService/Tasks'
SUBSCRIPTIONS = '/redfish/v1/EventService/Subscriptions'
EVENT_STREAM = '/redfish/v1/EventService/SSE'
REVERT = '#HawkFishSnapshot.Revert'
PURGE = '#HawkFishSnapshotCollection.Purge'
PREVIEW = '#HawkFishSnapshotPolicy.PreviewCreate'

# Short operations are seen to end at once; long ones cost a request a second.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
# A task outlives a restart of the emulator, so a wait does as well.
RESTART_GRACE = 10.0
# A quiet stream has a comment every few seconds; without, it is dead.
STREAM_SILENCE = 30.0


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


def _path(system: str, what: str) -> str:
    return f'{SYSTEMS}/{parse.quote(system, "")}/Oem/HawkFish/{what}'


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


def _patch(resource: Any, changes: dict[str, Any]) -> Any:
    # Given the ETag as such, sushy would try again without it.
    headers = {'If-Match': resource.json['@odata.etag']}
    response = resource._conn.patch(
        resource.path, data=changes, headers=headers
    )
    return response.json()


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

    exclusive_size_bytes: int | None = base.Field('ExclusiveSizeBytes')
    """Bytes that its delete frees at the least, or None"""

    locked: bool = base.Field('Locked')
    """Whether it may be neither deleted nor pruned"""

    expires_time: str | None = base.Field('ExpiresTime')
    """When it may be pruned, or None"""

    parent: str | None = base.Field(
        ['Links', 'ParentSnapshot'], adapter=_name_in
    )
    """Name of the snapshot that this one was made on top of, or None"""

    children: list[str] = base.Field(
        ['Links', 'ChildSnapshots'], adapter=_names_in
    )
    """Names of the snapshots made on top of this one"""

    referenced_by: list[str] = base.Field(
        ['Links', 'ReferencedBy'], adapter=_names_in
    )
    """Snapshots and systems that keep it from being deleted"""

    referenced_by_files: list[str] = base.Field('ReferencedByFiles')
    """Paths of files that do, and belong to no system"""

    _revert_target = base.Field(['Actions', REVERT, 'target'])

    def revert(
        self,
        target_power_state: str | None = None,
        safety_snapshot: bool | None = None,
        force: bool | None = None,
    ) -> TaskHandle:
        """
        Bring the system back; what it did since the snapshot is lost.

        *target_power_state* is AsCaptured (the service's default), On, Off
        or Paused. With *safety_snapshot* the present state is kept first.
        With *force* the state of the firmware stays as it is where its copy
        cannot be used.
        """
        # Where no target is offered, the service can say why.
        target = self._revert_target or f'{self.path}/Actions/{REVERT[1:]}'
        return _post(
            self._conn,
            target,
            TargetPowerState=target_power_state,
            SafetySnapshot=safety_snapshot,
            Force=force,
        )

    def update(self, **changes: Any) -> 'Snapshot':
        """
        Change ``Description``, ``Locked`` or ``ExpiresTime``.

        Refused where the snapshot has changed since it was read.
        """
        body = _patch(self, changes)
        return Snapshot(self._conn, self.path, json_doc=body)

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
        locked: bool | None = None,
        expires_time: str | None = None,
    ) -> TaskHandle:
        """Start a snapshot; what is None is left to the service to choose."""
        return _post(
            self._conn,
            self.path,
            Name=name,
            Description=description,
            IncludeMemory=include_memory,
            Quiesce=quiesce,
            Locked=locked,
            ExpiresTime=expires_time,
        )

    def purge(self, force: bool | None = None) -> TaskHandle:
        """Delete every snapshot, with *force* locked ones as well."""
        return _post(
            self._conn, f'{self.path}/Actions/{PURGE[1:]}', Force=force
        )


class Preview(base.ResourceBase):  # type: ignore[misc]
    """What a create would do, as it was when it was asked."""

    name = base.Field('Name')
    snapshot_type = base.Field('SnapshotType')
    storage_type = base.Field('StorageType')
    size_bytes = base.Field('SizeBytes')
    """Bytes that the snapshot takes at the most, or None"""

    needs = base.Field('Needs')
    """For each folder the bytes that are needed, and those available"""

    pruned = base.Field('Pruned')
    """The snapshots that would go, in this order, each with the reason"""

    kept = base.Field('Kept')
    """The snapshots that would stay, each with the reasons"""

    unmet_limits = base.Field('UnmetLimits')
    """The limits that could not be reached"""


class SnapshotPolicy(base.ResourceBase):  # type: ignore[misc]
    """The limits of one system; 0 is no limit."""

    max_snapshots = base.Field('MaxSnapshots')
    max_age_seconds = base.Field('MaxAgeSeconds')
    max_bytes = base.Field('MaxBytes')
    on_limit = base.Field('OnLimit')
    """``Prune`` or ``Refuse``"""

    snapshot_count = base.Field(['Usage', 'SnapshotCount'])
    size_bytes = base.Field(['Usage', 'SizeBytes'])

    _preview_target = base.Field(['Actions', PREVIEW, 'target'], required=True)

    def update(self, **changes: Any) -> 'SnapshotPolicy':
        """
        Set limits by their names on the wire; None is the configuration's.

        Refused where the policy has changed since it was read.
        """
        body = _patch(self, changes)
        return SnapshotPolicy(self._conn, self.path, json_doc=body)

    def preview(self, **wish: Any) -> Preview:
        """What a create with the properties *wish* would do."""
        target = self._preview_target
        given = {k: v for k, v in wish.items() if v is not None}
        response = self._conn.post(target, data=given)
        return Preview(self._conn, target, json_doc=response.json())


@dataclasses.dataclass(frozen=True)
class Event:
    """One event; *identity* is where a stream can go on after it."""

    identity: str
    json: dict[str, Any]

    @property
    def timestamp(self) -> str:
        """When it happened."""
        return str(self.json.get('EventTimestamp', ''))

    @property
    def severity(self) -> str:
        """``OK``, ``Warning`` or ``Critical``"""
        return str(self.json.get('MessageSeverity', ''))

    @property
    def message_id(self) -> str:
        """What kind of event it is, as in the message registries."""
        return str(self.json.get('MessageId', ''))

    @property
    def message(self) -> str:
        """The event in words."""
        return str(self.json.get('Message', ''))


class Subscription(base.ResourceBase):  # type: ignore[misc]
    """Where the service sends events, and which."""

    identity = base.Field('Id', required=True)
    type = base.Field('SubscriptionType')
    """``RedfishEvent`` for a destination, ``SSE`` for an open stream"""

    destination = base.Field('Destination')
    context = base.Field('Context')
    """What the subscriber has chosen to know its events by"""

    retry_policy = base.Field('DeliveryRetryPolicy')
    verify_certificate = base.Field('VerifyCertificate')
    state = base.Field(['Status', 'State'])
    """``Enabled``, or ``Disabled`` for one that is suspended"""

    health = base.Field(['Status', 'Health'])

    def delete(self) -> None:
        """End the subscription; a stream is closed."""
        self._conn.delete(self.path)


def _blocks(response: requests.Response) -> Iterator[tuple[str, str]]:
    """The id and the data of each block of a stream; either may be empty."""
    # As they come, whatever their size; unknown without chunks.
    chunk = None if getattr(response.raw, 'chunked', False) else 1
    block: dict[str, str] = {}
    for line in response.iter_lines(chunk_size=chunk):
        if not line:
            yield block.get('id', ''), block.get('data', '')
            block = {}
        name, _, value = line.decode(errors='replace').partition(': ')
        if name == 'data' and 'data' in block:
            value = f'{block["data"]}\n{value}'
        block[name] = value


class HawkFishSystem(oem_base.OEMResourceBase):  # type: ignore[misc]
    """HawkFish's part of a sushy System."""

    _snapshots_path = base.Field(['Snapshots', '@odata.id'], required=True)
    _policy_path = base.Field(['SnapshotPolicy', '@odata.id'])

    @property
    def snapshots(self) -> SnapshotCollection:
        """The snapshots of this system."""
        return SnapshotCollection(self._conn, self._snapshots_path)

    @property
    def snapshot_policy(self) -> SnapshotPolicy:
        """The limits of this system."""
        return SnapshotPolicy(self._conn, self._policy_path)


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
            # requests would encode text as Latin-1.
            self._conn.set_http_basic_auth(
                username.encode(), (password or '').encode()
            )

    def snapshots(self, system: str) -> SnapshotCollection:
        """The snapshots of *system*, a UUID or a name."""
        return SnapshotCollection(self._conn, _path(system, 'Snapshots'))

    def policy(self, system: str) -> SnapshotPolicy:
        """The limits of *system*, a UUID or a name."""
        return SnapshotPolicy(self._conn, _path(system, 'SnapshotPolicy'))

    def tasks(self) -> list[Task]:
        """Return every task, as served, read in one request."""
        return [
            Task(self._conn, member['@odata.id'], json_doc=member)
            for member in _members(self._conn, TASKS)
        ]

    def task(self, identity: str) -> Task:
        """Return the task whose id is *identity*."""
        return Task(self._conn, f'{TASKS}/{parse.quote(identity, "")}')

    def subscriptions(self) -> list[Subscription]:
        """Return every subscription, read in one request."""
        return [
            Subscription(self._conn, member['@odata.id'], json_doc=member)
            for member in _members(self._conn, SUBSCRIPTIONS)
        ]

    def subscription(self, identity: str) -> Subscription:
        """Return the subscription whose id is *identity*."""
        path = f'{SUBSCRIPTIONS}/{parse.quote(identity, "")}'
        return Subscription(self._conn, path)

    def subscribe(self, destination: str, **properties: Any) -> Subscription:
        """
        Have events sent to *destination*, an http or https URL.

        *properties* are those of an EventDestination, as on the wire.
        """
        given = {k: v for k, v in properties.items() if v is not None}
        body = {'Destination': destination, 'Protocol': 'Redfish', **given}
        response = self._conn.post(SUBSCRIPTIONS, data=body)
        path = response.headers['Location']
        return Subscription(self._conn, path, json_doc=response.json())

    def events(
        self,
        after: str | None = None,
        wanted: str | None = None,
        lost: Callable[[], None] | None = None,
    ) -> Iterator[Event]:
        """
        Yield events as they happen, for ever.

        Begins after the event whose identity is *after*, if that is given,
        and leaves out what the ``$filter`` *wanted* does. A stream that was
        open is opened again when it is lost, of which *lost* is told, and
        misses nothing.
        """
        last, pause = after, FIRST_PAUSE
        opened = is_open = False
        while True:
            try:
                for identity, data in self._listen(last, wanted):
                    pause, last = FIRST_PAUSE, identity
                    opened = is_open = True
                    yield from _events(identity, data)
            except (exceptions.ConnectionError, exceptions.ServerSideError):
                if not opened:
                    raise
            except requests.RequestException:
                # It broke off; what came of it was whole.
                pass
            if is_open and lost:
                lost()
            is_open = False
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _listen(
        self, last: str | None, wanted: str | None
    ) -> Iterator[tuple[str, str]]:
        headers = {} if last is None else {'Last-Event-ID': last}
        response = self._conn.get(
            EVENT_STREAM,
            headers=headers,
            params={'$filter': wanted} if wanted else None,
            timeout=STREAM_SILENCE,
            stream=True,
        )
        with response:
            for identity, data in _blocks(response):
                if identity:
                    last = identity
                yield last or '', data


def _events(identity: str, data: str) -> Iterable[Event]:
    entries = json.loads(data)['Events'] if data else ()
    return [Event(identity, entry) for entry in entries]
