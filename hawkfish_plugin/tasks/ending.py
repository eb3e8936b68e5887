# SPDX-License-Identifier: Apache-2.0
"""
What is made of the end of a task.

Owns its error, its last messages, what is kept of its journal, and the events
that tell it; nothing of the database.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin import events, exceptions, messages
from hawkfish_plugin.records import Record
from hawkfish_plugin.tasks.operation import Operation
from hawkfish_plugin.tasks.task import CANCELLED, COMPLETED, EXCEPTION, Task

LOG = logging.getLogger(__name__)

Outcome = dict[str, Any] | exceptions.HawkFishError
"""The result of an operation, or its error."""


@dataclasses.dataclass(frozen=True)
class EndJournal(Record):
    """
    What the journal of a task holds once it has ended well.

    *to_follow*: what follows it, see ``Operation.follow``, is still to be
    done.
    """

    to_follow: bool = False


IS_TO_FOLLOW = """IFNULL(CASE WHEN json_valid(journal)
    THEN json_extract(journal, '$.to_follow') END, 0)"""
"""The same in SQL; False of a row that is damaged."""


def journal(task: Task, outcome: Outcome, followed: bool) -> Mapping[str, Any]:
    """What is noted of *task* beyond its end; see ``Ends.end``."""
    # It holds the whole definition of a system; only who has to repair that
    # system needs it.
    if isinstance(
        outcome,
        exceptions.RevertNotUndone
        | exceptions.RevertUnfinished
        | exceptions.TaskTooNew
        | exceptions.InternalError,
    ) or is_unsettled(outcome):
        return task.journal
    # What it has begun is for its parent to undo.
    if task.parent is not None and isinstance(
        outcome, exceptions.HawkFishError
    ):
        return task.journal
    return EndJournal(followed).dump()


def is_unsettled(outcome: Outcome) -> bool:
    """Whether the operation has ended in the middle."""
    return isinstance(outcome, exceptions.HawkFishError) and outcome.unsettled


def is_followed(task: Task, operation: Operation | None) -> bool:
    """Whether something comes after it; after a part, what its parent does."""
    return operation is not None and operation.follows and task.parent is None


def ended(task: Task, state: str, outcome: Outcome) -> Task:
    """*task* as it is when it has ended in *state*."""
    result = error = None
    if isinstance(outcome, exceptions.HawkFishError):
        error = _error(outcome)
    else:
        result = outcome
    return dataclasses.replace(
        task,
        state=state,
        result=result,
        error=error,
        messages=[*task.messages, *_last_messages(task, state, error)],
        percent=100 if state == COMPLETED else task.percent,
    )


def with_warnings(task: Task, parts: Sequence[Task]) -> Task:
    """
    *task* with what its sub-tasks, *parts*, have warned of.

    Their errors are for its operation to tell.
    """
    carried: list[tuple[str, list[str]]] = []
    several = len(_systems(task)) > 1
    for part in parts:
        warnings = [m for m in _own_messages(part) if _is_warning(m[0])]
        # One of several systems has named those already.
        if warnings and several and len(_systems(part)) == 1:
            name = part.one_system.name
            carried.append((messages.GROUP_MEMBER_WARNED, [name]))
        carried += warnings
    return dataclasses.replace(task, messages=[*task.messages, *carried])


def _systems(task: Task) -> set[str]:
    return {subject.system.uuid for subject in task.subjects}


def _own_messages(task: Task) -> Sequence[tuple[str, list[str]]]:
    """Those of an ended task that its end has not added."""
    return task.messages[: -1 - len(task.failures)]


def told(
    task: Task, outcome: Outcome, operation: Operation | None
) -> Sequence[events.NewEvent]:
    """The events of *task*, which has ended: the operation's, and its own."""
    origin = events.task_origin(task.id, task.systems)
    return [
        *(_happened(task, outcome, operation) if operation else ()),
        events.NewEvent(*task.messages[-1], origin),
    ]


def _happened(
    task: Task, outcome: Outcome, operation: Operation
) -> Sequence[events.NewEvent]:
    error = None
    if isinstance(outcome, exceptions.HawkFishError):
        error = outcome
    try:
        return operation.ended(task, error)
    except exceptions.StateUnavailable:
        raise
    except Exception:
        # A task that does not end would keep its snapshot busy for ever.
        LOG.exception('The end of task %s has no events', task.id)
        return ()


def _error(error: exceptions.HawkFishError) -> dict[str, Any]:
    return {
        'status': error.status,
        'messages': [
            (part.message_id, list(part.args)) for part in error.parts
        ],
    }


def _last_messages(
    task: Task, state: str, error: dict[str, Any] | None
) -> list[tuple[str, list[str]]]:
    """What an end adds to the messages of *task*."""
    warned = any(_is_warning(key) for key, _ in task.messages)
    key = {
        COMPLETED: messages.TASK_WARNED if warned else messages.TASK_COMPLETED,
        EXCEPTION: messages.TASK_ABORTED,
        CANCELLED: messages.TASK_CANCELLED,
    }[state]
    last = list(error['messages']) if error else []
    return [*last, (key, [str(task.id)])]


def _is_warning(message_id: str) -> bool:
    # A row of a newer release may hold a message that is not known here.
    entry = messages.registry().get(message_id, {})
    return bool(entry.get('MessageSeverity', 'OK') != 'OK')
