# SPDX-License-Identifier: Apache-2.0
"""
The Python SDK: the HawkFish resources for sushy.

``system.get_oem_extension('HawkFish')`` provides them from a sushy System.
:class:`HawkFish` provides them from a URL, without loading the service root
or the System. Errors are those of sushy, with the messages of the server.
Every operation returns a :class:`TaskHandle`. Only the task monitor of the
server determines when and how a task has ended.
"""

from hawkfish_plugin.client.backups import Backup, BackupCollection
from hawkfish_plugin.client.common import messages
from hawkfish_plugin.client.events import Event, Subscription
from hawkfish_plugin.client.exports import Export
from hawkfish_plugin.client.groups import (
    Group,
    GroupSnapshot,
    GroupSnapshotCollection,
)
from hawkfish_plugin.client.service import (
    HawkFish,
    HawkFishSystem,
    SystemSummary,
    get_extension,
)
from hawkfish_plugin.client.snapshots import (
    Preview,
    Snapshot,
    SnapshotCollection,
    SnapshotPolicy,
)
from hawkfish_plugin.client.tasks import (
    Outcome,
    Task,
    TaskHandle,
    TaskTimeout,
    wait_all,
)

__all__ = [
    'Backup',
    'BackupCollection',
    'Event',
    'Export',
    'Group',
    'GroupSnapshot',
    'GroupSnapshotCollection',
    'HawkFish',
    'HawkFishSystem',
    'Outcome',
    'Preview',
    'Snapshot',
    'SnapshotCollection',
    'SnapshotPolicy',
    'Subscription',
    'SystemSummary',
    'Task',
    'TaskHandle',
    'TaskTimeout',
    'get_extension',
    'messages',
    'wait_all',
]
