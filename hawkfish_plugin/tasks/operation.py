# SPDX-License-Identifier: Apache-2.0
"""
What an operation is.

Owns everything that the rest of the service has to know about one: its name
and title, the lock that it takes, the state of its snapshot while it runs,
whether it can be cancelled, the final answer to its request and its lifecycle
events.  Other modules ask the operation and never compare names.
"""

import abc
import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from hawkfish_plugin import exceptions
from hawkfish_plugin.events import NewEvent

if TYPE_CHECKING:
    from hawkfish_plugin.tasks.context import Context
    from hawkfish_plugin.tasks.task import Task


class Lock(enum.Enum):
    """
    How an operation shares its systems with other operations.

    EXCLUSIVE: with none.  SHARED: with those that share as well, and with
    requests of the emulator that read and redefine nothing.  NONE: with all of
    them; for what may take long and reads only what nobody changes.
    """

    EXCLUSIVE, SHARED, NONE = 'exclusive', 'shared', 'none'


class Effect(enum.Enum):
    """The SnapshotState that an operation puts its snapshots into."""

    CREATING, REVERTING, DELETING = 'Creating', 'Reverting', 'Deleting'


@dataclasses.dataclass(frozen=True)
class Answer:
    """
    The answer of a task monitor when its operation has succeeded.

    *body* None is the plain Success message, unless *status* is 204;
    *location* is the URI of what has been created.
    """

    status: int = 200
    body: dict[str, Any] | None = None
    location: str | None = None


class Operation(abc.ABC):
    """
    What a task carries out.

    *title* names a task of it, with ``{snapshot}``, ``{system}`` and
    ``{group}``, where its arguments have one;
    *version* is that of its arguments and its journal; *steps* are all that
    it and its driver note in it, but for those of sub-tasks; *effect* None
    leaves
    the state of snapshots alone; the arguments of one *of_group* have a
    ``group``; *follows* says that ``follow`` does anything, after a task that
    is no sub-task;
    one that *mends* leaves its system in a known state when it succeeds,
    whatever has ended in the middle before.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[int] = 1
    steps: ClassVar[Sequence[str]] = ()
    lock: ClassVar[Lock] = Lock.EXCLUSIVE
    effect: ClassVar[Effect | None] = None
    cancellable: ClassVar[bool] = False
    mends: ClassVar[bool] = False
    follows: ClassVar[bool] = False
    of_group: ClassVar[bool] = False

    @abc.abstractmethod
    def run(self, context: 'Context') -> dict[str, Any]:
        """Carry it out; returns the result that the task keeps, as JSON."""

    @abc.abstractmethod
    def settle(self, context: 'Context') -> dict[str, Any]:
        """
        Finish, or undo, what an interrupted try has begun.

        Called in the place of ``run`` where a step had been noted.  May itself
        be interrupted, and called again.
        """

    def follow(self, task: 'Task') -> None:  # noqa: B027
        """
        Called after *task* has ended Completed.

        An error is logged and does not affect the task. It is called again if
        the process died, or if the hypervisor or the database was away.
        """

    def look_after(self, task: 'Task') -> None:  # noqa: B027
        """
        See what *task*, which has ended, has left its systems with.

        They are locked still, unless the process has died.
        An error is logged and does not affect the task.
        """

    def refusal(self, rival: 'Task') -> exceptions.HawkFishError:
        """The error where *rival* is active on the same subject already."""
        return exceptions.SnapshotBusy(
            rival.snapshot or '', rival.operation, rival.id
        )

    def events(
        self, task: 'Task', error: exceptions.HawkFishError | None
    ) -> Sequence[NewEvent]:
        """The events of the end of *task*; *error* None: Completed."""
        return ()

    def percent(self, task: 'Task', parts: Sequence['Task']) -> int:
        """How far the active *task* is, of which *parts* are sub-tasks."""
        return task.percent

    def leave(self, task: 'Task') -> None:  # noqa: B027
        """
        Note what *task*, which ends in the middle, has left half changed.

        Called in the transaction that writes its end: whoever sees that it has
        ended sees this as well.
        """

    def ended(
        self, task: 'Task', error: exceptions.HawkFishError | None
    ) -> Sequence[NewEvent]:
        """``leave`` where that is due, and the ``events`` of the end."""
        if error and error.unsettled:
            self.leave(task)
        return self.events(task, error)

    def created(self, task: 'Task') -> str | None:
        """The URI of what *task*, which is Completed, has created."""
        return None

    def there(self, tasks: Sequence['Task']) -> frozenset[int]:
        """The ids of those of *tasks* whose creation still exists."""
        return frozenset()

    def answer(self, task: 'Task') -> Answer:
        """The final answer of the monitor of *task*, which is Completed."""
        return Answer()


O = TypeVar('O', bound=Operation)  # noqa: E741

Kinds = Mapping[str, type[Operation]]
"""Operations, by their names."""


def effect_of(task: 'Task | None', kinds: Kinds) -> Effect | None:
    """What *task* does to its snapshots; None where that is not known."""
    kind = kinds.get(task.operation) if task else None
    return kind.effect if kind else None


class Operations:
    """The operations of a service."""

    def __init__(self, *operations: Operation) -> None:
        self._by_name = {operation.name: operation for operation in operations}

    def complete(self, kinds: Kinds) -> Self:
        """Itself; raises TypeError where it is not one of each of *kinds*."""
        found = {name: type(each) for name, each in self._by_name.items()}
        if found != kinds:
            names = ', '.join(sorted(found.keys() ^ kinds.keys()))
            raise TypeError(f'Listed once only: {names}')
        return self

    def get(self, kind: type[O]) -> O:
        """The operation of *kind*."""
        found = self._by_name[kind.name]
        if not isinstance(found, kind):
            raise TypeError(kind)
        return found

    def of(self, task: 'Task') -> Operation:
        """
        The operation of *task*.

        Of a name that this release does not know, one that cannot be run: a
        newer release has queued it.
        """
        return self._by_name.get(task.operation) or _Unknown()

    def title(self, task: 'Task') -> str:
        """The name of *task*, for people."""
        system = task.system
        return self.of(task).title.format(
            operation=task.operation,
            snapshot=task.snapshot or '',
            system=system.name if system else '',
            group=task.intent.group or '',
        )


class _Unknown(Operation):
    name = ''
    version = 0
    title = '{operation} {snapshot}'

    def run(self, context: 'Context') -> dict[str, Any]:
        raise exceptions.InternalError()

    settle = run
