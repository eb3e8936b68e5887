# SPDX-License-Identifier: Apache-2.0
"""
Tasks, and how to wait for one or for many.

Only the task monitor of the server determines when and how a task has ended.
"""

import dataclasses
import datetime
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar, cast

import requests
from sushy import exceptions
from sushy.resources import base

from hawkfish_plugin.client import common, typed

TASKS = '/redfish/v1/TaskService/Tasks'

# Short operations are noticed quickly; long ones cost a request per second.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
# A task survives a restart of the emulator, so a wait has to as well.
RESTART_GRACE = 10.0

Made = TypeVar('Made')
"""What an operation creates; None for one that creates nothing"""

Progress = Callable[['Task'], None]

_KINDS: dict[str, Any] = {}
_Kind = TypeVar('_Kind')


def created_by_tasks(kind: type[_Kind]) -> type[_Kind]:
    """Let tasks return what they have created as a *kind*."""
    _KINDS[f'HawkFish{kind.__name__}'] = kind
    return kind


# The wait of sushy raises a ConnectionError, too.
class TaskTimeout(typed.ConnectionError):
    """The task was still running when the timeout of the caller expired."""

    message = 'Task %(task)s is still running after %(timeout)g seconds'


class CreatedGone(typed.SushyError):
    """What the task has created was deleted before anybody looked."""

    message = 'What task %(task)s has created is deleted again'


class Task(typed.SushyTask):
    """A task of the service, with the HawkFish properties."""

    start_time: datetime.datetime | None = base.Field(
        'StartTime', adapter=common.moment
    )
    end_time: datetime.datetime | None = base.Field(
        'EndTime', adapter=common.moment
    )
    operation: str | None = base.Field(['Oem', 'HawkFish', 'Operation'])
    snapshot: str | None = base.Field(['Oem', 'HawkFish', 'Snapshot'])
    """Name of the snapshot that the task operates on"""

    system: str | None = base.Field(
        ['Oem', 'HawkFish', 'System'], adapter=common.name_in
    )
    """Identity of the system that the task operates on"""

    group: str | None = base.Field(
        ['Oem', 'HawkFish', 'Aggregate'], adapter=common.name_in
    )
    """Name of the group that the task operates on"""

    def __repr__(self) -> str:
        state = self.task_state.value if self.task_state else None
        return f'<Task {self.identity}: {self.name}, {state}>'

    @property
    def warnings(self) -> list[str]:
        """Messages the user should see, even if the task succeeded."""
        return [
            message['Message']
            for message in self.json.get('Messages', ())
            if message.get('MessageSeverity', 'OK') != 'OK'
        ]

    def sub_tasks(self) -> list['Task']:
        """Return the tasks that are part of this one, with one request."""
        path = f'{TASKS}/{self.identity}/SubTasks'
        return common.read_all(Task, self._conn, path)

    def wait(
        self,
        timeout_sec: common.Seconds = math.inf,
        progress: Progress | None = None,
    ) -> Any:
        """Wait for the task to end, as :meth:`TaskHandle.wait` does."""
        handle: TaskHandle[Any] = TaskHandle(self._conn, self.task_monitor)
        return handle.wait(timeout_sec, progress)

    def cancel(self) -> None:
        """Ask the service to stop the task; an ended one is forgotten."""
        self._conn.delete(self.path)

    def abandon(self) -> None:
        """
        End the task, even if its operation is in the middle.

        What becomes of its system is then not known.
        """
        actions = self.json['Actions']['Oem']
        self._conn.post(actions['#HawkFishTask.Abandon']['target'], data={})


class TaskHandle(typed.Monitor, Generic[Made]):
    """
    The sushy TaskMonitor of an operation, with a wait that reports progress.

    It supports the whole interface of TaskMonitor; its task is a
    :class:`Task`.
    """

    makes: type[Made] | None = None
    """What the operation creates, if anything"""

    def __repr__(self) -> str:
        state = 'running' if self.is_processing else 'ended'
        return f'<TaskHandle {self.identity}: {state}>'

    @property
    def identity(self) -> str:
        """The ID of the task."""
        return common.name_in({'@odata.id': self.task_monitor_uri})

    @property
    def task(self) -> Task | None:
        """The task as last read, or None if it has ended."""
        if self._task is None:
            return None
        path = f'{TASKS}/{self.identity}'
        return Task(self._connector, path, json_doc=self._task.json)

    def wait(
        self,
        timeout_sec: common.Seconds = math.inf,
        progress: Progress | None = None,
    ) -> Made:
        """
        Wait for the task to end, and return what it has created, if anything.

        *progress* is called with the task after each request. Raises the
        error of the service if the task failed or was cancelled,
        TaskTimeout if it is still running after *timeout_sec* (seconds, or a
        timedelta), and CreatedGone if others have deleted it meanwhile.
        """
        polling = _Polling(self, timeout_sec)
        while self.is_processing:
            task = self.task
            if progress and task:
                progress(task)
            polling.look()
        created = self.created()
        if self.makes and created is None:
            raise CreatedGone(task=self.identity)
        return cast(Made, created)

    def cancel(self) -> None:
        """Ask the service to stop the task; an ended one is forgotten."""
        self._connector.delete(self.task_monitor_uri)

    def created(self) -> Made | None:
        """Return what the task has created, if it has ended and did so."""
        if self.response.status_code != requests.codes.created:
            return None
        path, body = self.response.headers['Location'], self.response.json()
        kind = _KINDS.get(body.get('@odata.type', '').rpartition('.')[2])
        if kind is None:
            # A system, say, of which sushy has a class of its own.
            return None
        made: Made = kind(self._connector, path, json_doc=body)
        return made


@dataclasses.dataclass(frozen=True)
class Outcome(Generic[Made]):
    """
    How the operation of *handle* has ended.

    *error* is what :meth:`TaskHandle.wait` would have raised, or None.
    """

    handle: TaskHandle[Made]
    created: Made | None = None
    error: exceptions.SushyError | None = None


def wait_all(
    handles: Iterable[TaskHandle[Made]],
    timeout_sec: common.Seconds = math.inf,
    progress: Progress | None = None,
) -> Iterator[Outcome[Made]]:
    """
    Wait for all *handles*, and yield the outcome of each when it ends.

    The timeout applies to all together. *progress* is called with the task of
    each handle, as often as its monitor is read.
    """
    waiting = [_Polling(handle, timeout_sec) for handle in handles]
    while waiting:
        polling = min(waiting, key=lambda one: one.due)
        handle = polling.handle
        try:
            if handle.is_processing:
                task = handle.task
                if progress and task:
                    progress(task)
                polling.look()
            if handle.is_processing:
                continue
            outcome = Outcome(handle, handle.created())
        except exceptions.SushyError as error:
            outcome = Outcome(handle, error=error)
        waiting.remove(polling)
        yield outcome


class _Polling(Generic[Made]):
    """When the monitor of *handle* is read next, and for how long at all."""

    def __init__(
        self, handle: TaskHandle[Made], timeout_sec: common.Seconds
    ) -> None:
        self.handle = handle
        self._timeout = common.seconds(timeout_sec)
        self._last_seen = now = time.monotonic()
        self._deadline = now + self._timeout
        self._pause = FIRST_PAUSE
        # One that has ended already is due at once.
        self.due = now
        if handle.is_processing:
            self.due = min(now + self._pause, self._deadline)

    def look(self) -> None:
        """
        Read the monitor when it is due.

        Raises TaskTimeout at the deadline, and the error of a failed task.
        """
        if time.monotonic() >= self._deadline:
            raise TaskTimeout(task=self.handle.identity, timeout=self._timeout)
        time.sleep(max(0.0, self.due - time.monotonic()))
        try:
            self.handle.refresh()
            self._last_seen = time.monotonic()
        except exceptions.ConnectionError:
            if time.monotonic() - self._last_seen > RESTART_GRACE:
                raise
        self._pause = min(self._pause * 1.5, LONGEST_PAUSE)
        self.due = min(time.monotonic() + self._pause, self._deadline)


def handle_of(conn: Any, response: requests.Response) -> TaskHandle[Any]:
    """Return the handle of the operation that *response* has accepted."""
    return TaskHandle(conn, response.headers['Location'], response=response)


def post(conn: Any, path: str, **values: Any) -> TaskHandle[Any]:
    """Begin the operation at *path* with the *values* that are not None."""
    return handle_of(conn, conn.post(path, data=common.given(**values)))


def create(
    conn: Any, path: str, kind: type[Made], **values: Any
) -> TaskHandle[Made]:
    """As ``post``, of an operation that creates a *kind*."""
    handle: TaskHandle[Made] = post(conn, path, **values)
    handle.makes = kind
    return handle
