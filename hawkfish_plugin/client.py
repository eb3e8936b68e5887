# SPDX-License-Identifier: Apache-2.0
"""
The Python SDK: the HawkFish resources for sushy.

``system.get_oem_extension('HawkFish')`` provides them from a sushy System.
:class:`HawkFish` provides them from a URL, without loading the service root
or the System. Errors are those of sushy, with the messages of the server.
Every operation returns a :class:`TaskHandle`. Only the task monitor of the
server determines when and how a task has ended. Long, as an SDK is read as
one.
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
REPAIR = '#HawkFishSnapshotCollection.Repair'
PREVIEW = '#HawkFishSnapshotPolicy.PreviewCreate'

# Short operations are noticed quickly; long ones cost a request per second.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
# A task survives a restart of the emulator, so a wait has to as well.
RESTART_GRACE = 10.0
# An idle stream sends a comment every few seconds; if not, it is dead.
STREAM_SILENCE = 30.0


# The wait of sushy raises a ConnectionError, too.
class TaskTimeout(exceptions.ConnectionError):  # type: ignore[misc]
    """The task was still running when the timeout of the caller expired."""

    message = 'Task %(task)s is still running after %(timeout)g seconds'


def messages(error: exceptions.SushyError) -> list[str]:
    """
    Return the messages of *error* and their resolutions.

    Errors of the emulator itself have a MessageId only, so there are none.
    """
    found = getattr(error, 'extended_info', None)
    lines = []
    for info in found if isinstance(found, list) else ():
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
    """Yield the expanded members of a collection, one request per page."""
    page: str | None = f'{path}?$expand=.'
    while page:
        body = conn.get(page).json()
        yield from body.get('Members', ())
        page = body.get('Members@odata.nextLink')


class Task(sushy_task.Task):  # type: ignore[misc]
    """A task of the service, with the HawkFish properties."""

    operation: str | None = base.Field(['Oem', 'HawkFish', 'Operation'])
    snapshot: str | None = base.Field(['Oem', 'HawkFish', 'Snapshot'])
    """Name of the snapshot that the task operates on"""

    system: str | None = base.Field(
        ['Oem', 'HawkFish', 'System'], adapter=_name_in
    )
    """Identity of the system that the task operates on"""

    @property
    def warnings(self) -> list[str]:
        """Messages the user should see, even if the task succeeded."""
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
        """Wait for the task to end, as :meth:`TaskHandle.wait` does."""
        handle = TaskHandle(self._conn, self.task_monitor)
        return handle.wait(timeout_sec, progress)

    def cancel(self) -> None:
        """Ask the service to stop the task; an ended one is forgotten."""
        self._conn.delete(self.path)

    def abandon(self) -> None:
        """
        End the task, even if its operation is in the middle.

        What becomes of its system is then not known.
        """
        actions = self.json['Oem']['HawkFish']['Actions']
        self._conn.post(actions['#HawkFishTask.Abandon']['target'], data={})


class TaskHandle(taskmonitor.TaskMonitor):  # type: ignore[misc]
    """
    The sushy TaskMonitor of an operation, with a wait that reports progress.

    It supports the whole interface of TaskMonitor; its task is a
    :class:`Task`.
    """

    @property
    def identity(self) -> str:
        """The ID of the task."""
        return _name_in({'@odata.id': self.task_monitor_uri})

    @property
    def task(self) -> Task | None:
        """The task as last read, or None if it has ended."""
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
        Wait for the task to end, and return the created snapshot, if any.

        *progress* is called with the task after each request. Raises the
        error of the service if the task failed or was cancelled, and
        TaskTimeout if it is still running after *timeout_sec* seconds.
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
    # If sushy is given the ETag, it retries without it.
    headers = {'If-Match': resource.json['@odata.etag']}
    response = resource._conn.patch(
        resource.path, data=changes, headers=headers
    )
    return response.json()


class Snapshot(base.ResourceBase):  # type: ignore[misc]
    """One snapshot of a system, at the time it was read."""

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
    """Power state of the system in the snapshot: On, Off or Paused"""

    is_current: bool = base.Field('Current')
    """Whether this is the current snapshot of the system"""

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
        ['Links', 'ParentSnapshot'], adapter=_name_in
    )
    """Name of the parent snapshot, or None"""

    children: list[str] = base.Field(
        ['Links', 'ChildSnapshots'], adapter=_names_in
    )
    """Names of the child snapshots"""

    referenced_by: list[str] = base.Field(
        ['Links', 'ReferencedBy'], adapter=_names_in
    )
    """Names of the snapshots and systems that prevent its deletion"""

    referenced_by_files: list[str] = base.Field('ReferencedByFiles')
    """Paths of the files that prevent it and belong to no system"""

    _revert_target = base.Field(['Actions', REVERT, 'target'])

    def revert(
        self,
        target_power_state: str | None = None,
        safety_snapshot: bool | None = None,
        force: bool | None = None,
    ) -> TaskHandle:
        """
        Revert the system, which discards its current state.

        *target_power_state* is AsCaptured (the default of the service), On,
        Off or Paused. *safety_snapshot* saves the current state in a snapshot
        first. *force* leaves the firmware state unchanged if its copies
        cannot be used.
        """
        # If there is no target, the service can explain why.
        target = self._revert_target or f'{self.path}/Actions/{REVERT[1:]}'
        return _post(
            self._conn,
            target,
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
        target = self._revert_target or f'{self.path}/Actions/{REVERT[1:]}'
        body = {
            'TargetPowerState': target_power_state,
            'SafetySnapshot': safety_snapshot,
            'Force': force,
            'DryRun': True,
        }
        asked = {
            name: value for name, value in body.items() if value is not None
        }
        found: dict[str, Any] = self._conn.post(target, data=asked).json()
        return found

    def update(self, **changes: Any) -> 'Snapshot':
        """
        Change ``Description``, ``Locked`` or ``ExpiresTime``.

        Fails if the snapshot has changed since it was read.
        """
        body = _patch(self, changes)
        return Snapshot(self._conn, self.path, json_doc=body)

    def delete(self) -> TaskHandle:
        """Delete the snapshot; the system keeps its current state."""
        return _handle(self._conn, self._conn.delete(self.path))


class SnapshotCollection:
    """The snapshots of one system; nothing is read before it is needed."""

    def __init__(self, conn: connector.Connector, path: str) -> None:
        self._conn = conn
        self.path = path

    def get_members(self) -> list[Snapshot]:
        """Return all snapshots, oldest first, with one request."""
        return [
            Snapshot(self._conn, member['@odata.id'], json_doc=member)
            for member in _members(self._conn, self.path)
        ]

    def get(self, name: str) -> Snapshot:
        """Return the snapshot *name*."""
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
        """Create a snapshot; the service chooses what is None."""
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
        """Delete all snapshots; with *force*, including locked ones."""
        return _post(
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

    def repair(self) -> TaskHandle:
        """Put an unsafe system back on the files that it was on."""
        return _post(self._conn, f'{self.path}/Actions/{REPAIR[1:]}')


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

    snapshot_count = base.Field(['Usage', 'SnapshotCount'])
    size_bytes = base.Field(['Usage', 'SizeBytes'])

    _preview_target = base.Field(['Actions', PREVIEW, 'target'], required=True)

    def update(self, **changes: Any) -> 'SnapshotPolicy':
        """
        Set limits, named as in Redfish; None means the configured value.

        Fails if the policy has changed since it was read.
        """
        body = _patch(self, changes)
        return SnapshotPolicy(self._conn, self.path, json_doc=body)

    def preview(self, **properties: Any) -> Preview:
        """Return what a create with the given *properties* would do."""
        target = self._preview_target
        given = {k: v for k, v in properties.items() if v is not None}
        response = self._conn.post(target, data=given)
        return Preview(self._conn, target, json_doc=response.json())


@dataclasses.dataclass(frozen=True)
class Event:
    """One event; a stream can resume after its *identity*."""

    identity: str
    json: dict[str, Any]

    @property
    def timestamp(self) -> str:
        """When the event happened."""
        return str(self.json.get('EventTimestamp', ''))

    @property
    def severity(self) -> str:
        """``OK``, ``Warning`` or ``Critical``"""
        return str(self.json.get('MessageSeverity', ''))

    @property
    def message_id(self) -> str:
        """The MessageId of the event."""
        return str(self.json.get('MessageId', ''))

    @property
    def message(self) -> str:
        """The text of the event."""
        return str(self.json.get('Message', ''))


class Subscription(base.ResourceBase):  # type: ignore[misc]
    """One event subscription."""

    identity = base.Field('Id', required=True)
    type = base.Field('SubscriptionType')
    """``RedfishEvent`` for a destination, ``SSE`` for an open stream"""

    destination = base.Field('Destination')
    context = base.Field('Context')
    """Text that the subscriber chose to be sent with its events"""

    retry_policy = base.Field('DeliveryRetryPolicy')
    verify_certificate = base.Field('VerifyCertificate')
    state = base.Field(['Status', 'State'])
    """``Enabled``, or ``Disabled`` if it is suspended"""

    health = base.Field(['Status', 'Health'])

    def delete(self) -> None:
        """Delete the subscription and close its stream, if any."""
        self._conn.delete(self.path)


def _blocks(response: requests.Response) -> Iterator[tuple[str, str]]:
    """Yield the id and the data of each block; either may be empty."""
    # Read chunks as they arrive; without chunks, read byte by byte.
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
    """The HawkFish extension of a sushy System."""

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
    """Return the HawkFish extension of a System, for sushy."""
    return HawkFishSystem


class HawkFish:
    """
    A HawkFish service at *url*, with Basic authentication if needed.

    *verify* is True, False or the path of a CA file. Only GET requests are
    retried, so that no operation is executed twice.
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
        # 1 is the minimum of sushy: 0 means three attempts, 2 s apart.
        self._conn = connector.Connector(
            url, verify=verify, server_side_retries=1
        )
        if username is not None:
            # requests would encode text as Latin-1.
            self._conn.set_http_basic_auth(
                username.encode(), (password or '').encode()
            )

    @property
    def proxy(self) -> str | None:
        """
        The URL of the proxy that the environment wants for this service.

        It is without its credentials, if it has any.
        """
        proxies = requests.utils.get_environ_proxies(self.url)
        found = requests.utils.select_proxy(self.url, proxies)
        if not found:
            return None
        parts = parse.urlsplit(found)
        return parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()

    def snapshots(self, system: str) -> SnapshotCollection:
        """Return the snapshots of *system*, a name or UUID."""
        return SnapshotCollection(self._conn, _path(system, 'Snapshots'))

    def policy(self, system: str) -> SnapshotPolicy:
        """Return the limits of *system*, a name or UUID."""
        return SnapshotPolicy(self._conn, _path(system, 'SnapshotPolicy'))

    def tasks(self) -> list[Task]:
        """Return all tasks, in the order of the service, with one request."""
        return [
            Task(self._conn, member['@odata.id'], json_doc=member)
            for member in _members(self._conn, TASKS)
        ]

    def task(self, identity: str) -> Task:
        """Return the task with the ID *identity*."""
        return Task(self._conn, f'{TASKS}/{parse.quote(identity, "")}')

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions, with one request."""
        return [
            Subscription(self._conn, member['@odata.id'], json_doc=member)
            for member in _members(self._conn, SUBSCRIPTIONS)
        ]

    def subscription(self, identity: str) -> Subscription:
        """Return the subscription with the ID *identity*."""
        path = f'{SUBSCRIPTIONS}/{parse.quote(identity, "")}'
        return Subscription(self._conn, path)

    def subscribe(self, destination: str, **properties: Any) -> Subscription:
        """
        Subscribe *destination*, an http or https URL, to events.

        *properties* are other properties of the EventDestination.
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
        Yield events as they happen, without end.

        Starts after the event with the identity *after*, if given, and
        yields only events that match the ``$filter`` *wanted*. If an open
        stream is lost, *lost* is called and the stream is reopened without
        missing events.
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
                # The stream was lost; complete events were yielded.
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
