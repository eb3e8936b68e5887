# SPDX-License-Identifier: Apache-2.0
"""
The Python SDK: the HawkFish resources for sushy.

:class:`HawkFish` provides them from a URL alone, without loading the service
root or the System. ``system.get_oem_extension('HawkFish')`` provides them from
a sushy System. Errors are those of sushy; ``errors`` has a class for each
message of the server. Every operation returns a :class:`TaskHandle`. Only the
task monitor of the server determines when and how a task has ended.

A module is imported when something of it is used for the first time: sushy and
requests take longer than most commands.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hawkfish_plugin.client import errors
    from hawkfish_plugin.client.backups import Backup, BackupCollection
    from hawkfish_plugin.client.common import messages
    from hawkfish_plugin.client.events import Event, Subscription
    from hawkfish_plugin.client.exports import Export
    from hawkfish_plugin.client.failures import (
        HawkFishError,
        Message,
        NotFound,
        Unavailable,
        Unreachable,
    )
    from hawkfish_plugin.client.groups import (
        Group,
        GroupSnapshot,
        GroupSnapshotCollection,
    )
    from hawkfish_plugin.client.log import AuditLog, LogEntry
    from hawkfish_plugin.client.schedules import Schedule, ScheduleCollection
    from hawkfish_plugin.client.service import (
        HawkFish,
        HawkFishSystem,
        get_extension,
    )
    from hawkfish_plugin.client.snapshots import (
        Preview,
        Snapshot,
        SnapshotCollection,
        SnapshotPolicy,
    )
    from hawkfish_plugin.client.systems import SystemSummary
    from hawkfish_plugin.client.tasks import (
        CreatedGone,
        Outcome,
        Task,
        TaskHandle,
        TaskTimeout,
        wait_all,
    )

_NAMES = {
    'backups': ('Backup', 'BackupCollection'),
    'common': ('messages',),
    'events': ('Event', 'Subscription'),
    'exports': ('Export',),
    'failures': (
        *('HawkFishError', 'Message', 'NotFound', 'Unavailable'),
        'Unreachable',
    ),
    'groups': ('Group', 'GroupSnapshot', 'GroupSnapshotCollection'),
    'log': ('AuditLog', 'LogEntry'),
    'schedules': ('Schedule', 'ScheduleCollection'),
    'service': (*('HawkFish', 'HawkFishSystem', 'get_extension'),),
    'snapshots': (
        *('Preview', 'Snapshot', 'SnapshotCollection', 'SnapshotPolicy'),
    ),
    'systems': ('SystemSummary',),
    'tasks': (
        *('CreatedGone', 'Outcome', 'Task', 'TaskHandle', 'TaskTimeout'),
        'wait_all',
    ),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = [
    'AuditLog',
    'Backup',
    'BackupCollection',
    'CreatedGone',
    'Event',
    'Export',
    'Group',
    'GroupSnapshot',
    'GroupSnapshotCollection',
    'HawkFish',
    'HawkFishError',
    'HawkFishSystem',
    'LogEntry',
    'Message',
    'NotFound',
    'Outcome',
    'Preview',
    'Schedule',
    'ScheduleCollection',
    'Snapshot',
    'SnapshotCollection',
    'SnapshotPolicy',
    'Subscription',
    'SystemSummary',
    'Task',
    'TaskHandle',
    'TaskTimeout',
    'Unavailable',
    'Unreachable',
    'errors',
    'get_extension',
    'messages',
    'wait_all',
]


def __getattr__(name: str) -> object:
    if name == 'errors':
        return importlib.import_module(f'{__name__}.errors')
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    found = getattr(importlib.import_module(f'{__name__}.{home}'), name)
    # Once only.
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*globals(), *__all__]
