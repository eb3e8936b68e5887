# SPDX-License-Identifier: Apache-2.0
"""
What the end of an operation is for others.

Owns which events tell it.  ``tasks`` writes them with the end itself, so none
is lost and none is told of what did not happen.
"""

from collections.abc import Sequence

from hawkfish_plugin import events, exceptions, messages, tasks


def of_create(
    task: tasks.Task, error: exceptions.HawkFishError | None
) -> Sequence[events.Occurrence]:
    if isinstance(error, exceptions.OperationCancelled):
        return []
    if error:
        there = isinstance(error, exceptions.SnapshotExists)
        return [failure(task, error, gone=not there)]
    origin = events.snapshot_origin(task.of_system, task.snapshot)
    return [
        events.Occurrence(
            messages.SNAPSHOT_CREATED,
            [task.snapshot, task.system_name],
            origin,
        ),
        events.Occurrence(messages.RESOURCE_CREATED, [], origin),
    ]


def of_revert(
    task: tasks.Task, error: exceptions.HawkFishError | None
) -> Sequence[events.Occurrence]:
    if isinstance(error, exceptions.OperationCancelled):
        return []
    if error:
        return [failure(task, error)]
    return [
        events.Occurrence(
            messages.SNAPSHOT_REVERTED,
            [task.snapshot, task.system_name],
            events.snapshot_origin(task.of_system, task.snapshot),
        )
    ]


def of_delete(
    task: tasks.Task, error: exceptions.HawkFishError | None
) -> Sequence[events.Occurrence]:
    if isinstance(error, exceptions.OperationCancelled):
        return []
    if error:
        return [failure(task, error)]
    reason = task.arguments.get('pruned') or 'Request'
    return _deletion(task, task.snapshot, reason)


def of_purge(
    task: tasks.Task, error: exceptions.HawkFishError | None
) -> Sequence[events.Occurrence]:
    """However it ended, what it has deleted is gone."""
    told = [
        occurrence
        for name in task.journal.get('deleted', ())
        for occurrence in _deletion(task, name, 'Request')
    ]
    if error and not isinstance(error, exceptions.OperationCancelled):
        told.append(failure(task, error))
    return told


def _deletion(
    task: tasks.Task, name: str, reason: str
) -> list[events.Occurrence]:
    origin = events.snapshot_origin(task.of_system, name, gone=True)
    return [
        events.Occurrence(
            messages.SNAPSHOT_DELETED,
            [name, task.system_name, reason],
            origin,
        ),
        events.Occurrence(messages.RESOURCE_REMOVED, [], origin),
    ]


def failure(
    task: tasks.Task, error: exceptions.HawkFishError, gone: bool = False
) -> events.Occurrence:
    """
    The event that tells the failure of any operation.

    *gone* says that there is no such snapshot, whatever the error is.
    """
    gone = gone or isinstance(error, exceptions.SnapshotNotFound)
    return events.Occurrence(
        messages.SNAPSHOT_FAILED,
        [
            task.snapshot or '*',
            task.system_name,
            task.operation,
            messages.text(error).rstrip('.'),
        ],
        events.snapshot_origin(task.of_system, task.snapshot, gone),
    )
