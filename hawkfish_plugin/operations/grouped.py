# SPDX-License-Identifier: Apache-2.0
"""
What the operations on groups have in common.

Owns how a task knows its members' snapshots, how the refusals and failures of
members become those of the group, and how what was made for nothing goes.
"""

import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.groups.views import PartView
from hawkfish_plugin.operations.delete import Delete, DeleteArguments
from hawkfish_plugin.tasks.context import Context, SubTask
from hawkfish_plugin.tasks.task import COMPLETED, Subject, Task

T = TypeVar('T')

# How many systems are asked about at one time.
_AT_ONCE = 4
# How often what a cancelled task has made is tried to be removed.
_TRIES = 3

# What a member says that was given up because of another one.
_GIVEN_UP = (
    exceptions.MeetingMissed,
    exceptions.RevertGivenUp,
    exceptions.OperationCancelled,
)
# What else a failed revert says than why, its second argument.
_WITH_STATE = (
    exceptions.RevertNotStarted,
    exceptions.RevertUndone,
    exceptions.RevertUnfinished,
    exceptions.RevertUnknown,
    exceptions.RevertNotUndone,
)


@dataclasses.dataclass(frozen=True)
class Piece:
    """The snapshot *name* of *system*, that was *created* then."""

    system: contract.System
    name: str
    created: int


def pieces(parts: Iterable[PartView]) -> Sequence[Piece]:
    """Of *parts*, the snapshots that are there."""
    return [
        Piece(part.system, part.view.name, part.view.record.created)
        for part in parts
        if part.view
    ]


# What stands in the way ------------------------------------------------------


def ask_all(
    systems: Sequence[contract.System],
    ask: Callable[[contract.System], T],
    *also: exceptions.HawkFishError,
) -> Sequence[T]:
    """
    What *ask* says of each system.

    Raises what all of them refuse at once, each after a GroupMemberRefused,
    and *also*.
    """
    answers, errors = [], list(also)
    # At once, as they wait for the hypervisor, and share what it says of all.
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE, 'ask') as pool:
        asked = [pool.submit(ask, system) for system in systems]
    for system, answer in zip(systems, asked, strict=True):
        try:
            answers.append(answer.result())
        except (exceptions.Unavailable, exceptions.InternalError):
            # It says nothing of this system.
            raise
        except exceptions.HawkFishError as exc:
            errors.append(exceptions.GroupMemberRefused(system.name))
            errors.extend(exc.parts)
    exceptions.check(errors)
    return answers


# What became of it -----------------------------------------------------------


def percent(
    task: Task,
    parts: Sequence[Task],
    phases: Mapping[str, tuple[int, int]],
) -> int:
    """
    How far *task* is, by its last sub-tasks, which are *parts* of one phase.

    *phases* has the percentages between which each of its steps is.
    """
    begin, end = phases.get(task.step, (task.percent, task.percent))
    last = [p for p in parts if p.operation == parts[-1].operation]
    done = sum(p.percent if p.active else 100 for p in last)
    return begin + (end - begin) * done // (100 * max(len(last), 1))


def failed(tasks: Iterable[Task]) -> Sequence[Task]:
    return [task for task in tasks if task.state != COMPLETED]


def failures(
    tasks: Iterable[Task], said: Callable[[Task], str] | None = None
) -> Sequence[exceptions.HawkFishError]:
    """
    Why the failed ones of *tasks* did: only those that began it, if any.

    *said* gives the words of one; by default ``words``.
    """
    ended = failed(tasks)
    own = [task for task in ended if not _was_given_up(task)]
    return [
        exceptions.GroupMemberFailed(
            task.one_system.name, (said or words)(task)
        )
        for task in own or ended
    ]


def words(task: Task) -> str:
    """Its error, for people."""
    return ' '.join(
        str(messages.message(message_id, args)['Message'])
        for message_id, args in task.failures
    ).rstrip('.')


def cause(task: Task) -> str:
    """``words`` without the state that a revert left, for one undone since."""
    for message_id, args in task.failures:
        if any(kind.has_id(message_id) for kind in _WITH_STATE):
            return str(args[1]).rstrip('.')
    return words(task)


def error_of(task: Task) -> exceptions.HawkFishError:
    """The error that *task* ended with, as one of who needed it."""
    told = task.error or {}
    found = []
    for message_id, args in told.get('messages', ()):
        error = exceptions.HawkFishError(*args)
        error.registry, _, error.key = message_id.rpartition('.')
        error.status = told['status']
        found.append(error)
    if not found:
        return exceptions.OperationCancelled(task.operation)
    return found[0] if len(found) == 1 else exceptions.Refused(found)


def _was_given_up(task: Task) -> bool:
    return all(
        any(kind.has_id(message_id) for kind in _GIVEN_UP)
        for message_id, _ in task.failures
    )


def remove(
    context: Context, delete: Delete, made: Sequence[Piece]
) -> Sequence[Task]:
    """
    Delete what was *made* for nothing; returns the tasks that failed.

    Locked or not, and though the task of *context* was cancelled.
    """
    left = list(made)
    ends: Sequence[Task] = ()
    for _ in range(_TRIES):
        if not left:
            break
        ends = context.run_sub_tasks(
            [
                SubTask(
                    delete,
                    [Subject(piece.system, piece.name)],
                    DeleteArguments(piece.created, forced=True),
                )
                for piece in left
            ],
            undoing=True,
        )
        left = [
            piece
            for piece, end in zip(left, ends, strict=True)
            if end.state != COMPLETED and not _is_gone(end)
        ]
    return [end for end in failed(ends) if not _is_gone(end)]


def _is_gone(task: Task) -> bool:
    return task.failed_with(exceptions.NotFound)
