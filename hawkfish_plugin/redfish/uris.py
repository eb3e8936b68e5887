# SPDX-License-Identifier: Apache-2.0
"""
The URIs of the service, and the names of its actions.

An action is named here because its name is the last part of its URI.
"""

from urllib import parse

ROOT = '/redfish/v1'
TASK_SERVICE = f'{ROOT}/TaskService'
TASKS = f'{TASK_SERVICE}/Tasks'
TASK_MONITORS = f'{TASK_SERVICE}/TaskMonitors'
SESSION_SERVICE = f'{ROOT}/SessionService'
SESSIONS = f'{SESSION_SERVICE}/Sessions'
ACCOUNT_SERVICE = f'{ROOT}/AccountService'
ACCOUNTS = f'{ACCOUNT_SERVICE}/Accounts'
ROLES = f'{ACCOUNT_SERVICE}/Roles'
PRIVILEGE_MAP = f'{ACCOUNT_SERVICE}/PrivilegeMap'
EVENT_SERVICE = f'{ROOT}/EventService'
SUBSCRIPTIONS = f'{EVENT_SERVICE}/Subscriptions'
SYSTEM_SUMMARIES = f'{ROOT}/Oem/HawkFish/SystemSummaries'
IMPORT = f'{ROOT}/Oem/HawkFish/Import'
ACTION_INFOS = f'{ROOT}/Oem/HawkFish/ActionInfos'

# No system's: the service itself.
MANAGER = f'{ROOT}/Managers/HawkFish'

AGGREGATION_SERVICE = f'{ROOT}/AggregationService'
AGGREGATES = f'{AGGREGATION_SERVICE}/Aggregates'
JOB_SERVICE = f'{ROOT}/JobService'
JOBS = f'{JOB_SERVICE}/Jobs'
EVENT_STREAM = f'{EVENT_SERVICE}/SSE'

REVERT_ACTION = 'HawkFishSnapshot.Revert'
EXPORT_ACTION = 'HawkFishSnapshot.Export'
VERIFY_BACKUP_ACTION = 'HawkFishBackup.Verify'
RESTORE_BACKUP_ACTION = 'HawkFishBackup.Restore'
VERIFY_ACTION = 'HawkFishSnapshot.Verify'
PURGE_ACTION = 'HawkFishSnapshotCollection.Purge'
VERIFY_NEWEST_ACTION = 'HawkFishSnapshotCollection.VerifyNewest'
REPAIR_ACTION = 'HawkFishSnapshotCollection.Repair'
PREVIEW_ACTION = 'HawkFishSnapshotPolicy.PreviewCreate'
GROUP_REVERT_ACTION = 'HawkFishGroupSnapshot.Revert'
GROUP_EXPORT_ACTION = 'HawkFishGroupSnapshot.Export'
GROUP_PREVIEW_ACTION = 'HawkFishGroupSnapshotCollection.PreviewCreate'
ADOPT_ACTION = 'HawkFishGroupSnapshotCollection.Adopt'
ADD_ELEMENTS_ACTION = 'Aggregate.AddElements'
REMOVE_ELEMENTS_ACTION = 'Aggregate.RemoveElements'
RESET_ACTION = 'Aggregate.Reset'
BOOT_ORDER_ACTION = 'Aggregate.SetDefaultBootOrder'
ABANDON_ACTION = 'HawkFishTask.Abandon'
SUSPEND_JOB_ACTION = 'Job.Suspend'
RESUME_JOB_ACTION = 'Job.Resume'
SUBMIT_TEST_ACTION = 'EventService.SubmitTestEvent'
TEST_ACTION = 'EventService.TestEventSubscription'
SUSPEND_ACTION = 'EventDestination.SuspendSubscription'
RESUME_ACTION = 'EventDestination.ResumeSubscription'
CLEAR_LOG_ACTION = 'LogService.ClearLog'


# Those whose bodies have parameters.
ACTIONS_WITH_PARAMETERS = frozenset(
    (
        *(REVERT_ACTION, EXPORT_ACTION, VERIFY_ACTION),
        *(PURGE_ACTION, REPAIR_ACTION, PREVIEW_ACTION),
        VERIFY_NEWEST_ACTION,
        *(VERIFY_BACKUP_ACTION, RESTORE_BACKUP_ACTION),
        *(GROUP_REVERT_ACTION, GROUP_EXPORT_ACTION),
        *(GROUP_PREVIEW_ACTION, ADOPT_ACTION),
        *(ADD_ELEMENTS_ACTION, REMOVE_ELEMENTS_ACTION, RESET_ACTION),
        *(SUBMIT_TEST_ACTION, RESUME_ACTION),
    )
)


def system_uri(uuid: str) -> str:
    return f'{ROOT}/Systems/{uuid}'


def snapshots_uri(uuid: str) -> str:
    return f'{system_uri(uuid)}/Oem/HawkFish/Snapshots'


def snapshot_uri(uuid: str, name: str) -> str:
    return f'{snapshots_uri(uuid)}/{parse.quote(name, safe="")}'


def screenshot_uri(uuid: str, name: str) -> str:
    return f'{snapshot_uri(uuid, name)}/screenshot'


def exports_uri(owner: str) -> str:
    """The exports of the system, or aggregate, with the URI *owner*."""
    return f'{owner}/Oem/HawkFish/Exports'


def export_uri(owner: str, export_id: int) -> str:
    return f'{exports_uri(owner)}/{export_id}'


def bundle_uri(owner: str, export_id: int) -> str:
    return f'{export_uri(owner, export_id)}/bundle'


def backups_uri(uuid: str) -> str:
    return f'{system_uri(uuid)}/Oem/HawkFish/Backups'


def backup_uri(uuid: str, backup_id: int) -> str:
    return f'{backups_uri(uuid)}/{backup_id}'


def backup_screenshot_uri(uuid: str, backup_id: int) -> str:
    return f'{backup_uri(uuid, backup_id)}/screenshot'


def policy_uri(uuid: str) -> str:
    return f'{system_uri(uuid)}/Oem/HawkFish/SnapshotPolicy'


def summary_uri(uuid: str) -> str:
    return f'{SYSTEM_SUMMARIES}/{uuid}'


def aggregate_uri(name: str) -> str:
    return f'{AGGREGATES}/{parse.quote(name, safe="")}'


def group_snapshots_uri(group: str) -> str:
    return f'{aggregate_uri(group)}/Oem/HawkFish/Snapshots'


def group_snapshot_uri(group: str, name: str) -> str:
    return f'{group_snapshots_uri(group)}/{parse.quote(name, safe="")}'


def job_uri(name: str) -> str:
    return f'{JOBS}/{parse.quote(name, safe="")}'


def task_uri(task_id: int) -> str:
    return f'{TASKS}/{task_id}'


def sub_tasks_uri(task_id: int) -> str:
    return f'{task_uri(task_id)}/SubTasks'


def abandon_uri(task_id: int) -> str:
    return f'{task_uri(task_id)}/Actions/Oem/{ABANDON_ACTION}'


def monitor_uri(task_id: int) -> str:
    return f'{TASK_MONITORS}/{task_id}'


def session_uri(session_id: int) -> str:
    return f'{SESSIONS}/{session_id}'


def account_uri(name: str) -> str:
    return f'{ACCOUNTS}/{parse.quote(name, safe="")}'


def role_uri(role: str) -> str:
    return f'{ROLES}/{role}'


def subscription_uri(subscription_id: int) -> str:
    return f'{SUBSCRIPTIONS}/{subscription_id}'


def logs_uri(owner: str) -> str:
    """The logs of the system, or manager, with the URI *owner*."""
    return f'{owner}/LogServices'


def audit_uri(owner: str) -> str:
    return f'{logs_uri(owner)}/Audit'


def entries_uri(owner: str) -> str:
    return f'{audit_uri(owner)}/Entries'


def entry_uri(owner: str, entry_id: int) -> str:
    return f'{entries_uri(owner)}/{entry_id}'


def action_info_uri(action: str) -> str:
    """What parameters *action* has, of whatever resource."""
    return f'{ACTION_INFOS}/{action}'


def action_uri(resource: str, action: str) -> str:
    """Where *action* of the resource with the URI *resource* is POSTed."""
    return f'{resource}/Actions/{action}'
