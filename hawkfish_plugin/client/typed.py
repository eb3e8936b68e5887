# SPDX-License-Identifier: Apache-2.0
"""
What the SDK builds on of sushy, with types.

sushy has no annotations: what inherits from its classes directly would have
any attribute for a type checker, misspelt ones as well.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class Resource:
        """A resource of Redfish, as it was when it was read."""

        path: str
        json: dict[str, Any]
        _conn: Any

        def __init__(
            self,
            connector: Any,
            path: str = '',
            *,
            json_doc: dict[str, Any] | None = None,
        ) -> None: ...

        def refresh(self, force: bool = True) -> None:
            """Read the resource again."""

    class OemResource(Resource):
        """The part of a resource that belongs to one vendor."""

    class SushyTask(Resource):
        """A task, of which sushy knows what Redfish does."""

        identity: str
        name: str
        description: str | None
        task_monitor: str
        percent_complete: int | None
        task_state: Any
        task_status: Any
        messages: Any

    class Monitor:
        """The monitor of a task."""

        task_monitor_uri: str
        is_processing: bool
        check_is_processing: bool
        sleep_for: int
        response: Any
        _connector: Any
        _task: Any

        def __init__(
            self, connector: Any, task_monitor_uri: str, *, response: Any = ...
        ) -> None: ...

        def refresh(self) -> None:
            """Read the monitor again."""

    class SushyError(Exception):
        """Any error of sushy."""

        def __init__(
            self, message: str | None = None, **kwargs: object
        ) -> None: ...

    class ConnectionError(SushyError):
        """There was no answer."""

    class HTTPError(SushyError):
        """The answer was an error."""

        status_code: int
        detail: str | None
        extended_info: Any

else:
    from sushy.exceptions import ConnectionError, HTTPError, SushyError
    from sushy.resources.base import ResourceBase as Resource
    from sushy.resources.oem.base import OEMResourceBase as OemResource
    from sushy.resources.taskservice.task import Task as SushyTask
    from sushy.taskmonitor import TaskMonitor as Monitor

__all__ = [
    'ConnectionError',
    'HTTPError',
    'Monitor',
    'OemResource',
    'Resource',
    'SushyError',
    'SushyTask',
]
