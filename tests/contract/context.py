# SPDX-License-Identifier: Apache-2.0
"""A task as a driver sees it, which can die at any step."""

import dataclasses
import json
from typing import Any, TypeVar

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.contract import Meeting
from hawkfish_plugin.records import Record

R = TypeVar('R', bound=Record)


class Killed(BaseException):
    """The process of the task has died; nobody handles that."""


@dataclasses.dataclass
class Context:
    """
    A ``contract.TaskContext`` whose journal is text, as in a database.

    It dies at the moment *die_at*: 0 is before its first step is noted, 1
    right after, 2 before the second one, and so on.  A journal that another
    one has left can be gone on with.  It meets nobody, but notes where it
    would; *miss* says where another one of its group has failed.  When it is
    *abandoned* its task has ended.
    """

    die_at: int | None = None
    cancelled: bool = False
    overdue: bool = False
    abandoned: bool = False
    journal: str = '{}'
    last_step: str = ''
    miss: Meeting | None = None
    met: list[Meeting] = dataclasses.field(default_factory=list)
    steps: list[str] = dataclasses.field(default_factory=list)
    percents: list[int] = dataclasses.field(default_factory=list)
    messages: list[tuple[str, tuple[object, ...]]] = dataclasses.field(
        default_factory=list
    )

    def recall(self, kind: type[R]) -> R:
        return kind.load(self._noted())

    def _noted(self) -> dict[str, Any]:
        noted: dict[str, Any] = json.loads(self.journal)
        return noted

    def step(
        self, name: str, noted: Record | None = None, durable: bool = True
    ) -> None:
        self.check_active()
        moment = 2 * len(self.steps)
        if self.die_at == moment:
            raise Killed(f'before {name}')
        self.steps.append(name)
        self.last_step = name
        if noted:
            self.journal = json.dumps({**self._noted(), **noted.dump()})
        if self.die_at == moment + 1:
            raise Killed(f'after {name}')

    def meet(self, point: Meeting, seconds: float | None = None) -> None:
        self.met.append(point)
        if point == self.miss:
            raise exceptions.MeetingMissed('other', point.words, 'it failed')

    def progress(self, percent: int) -> None:
        self.percents.append(percent)

    def add_message(self, message_id: str, *args: object) -> None:
        self.messages.append((message_id, args))

    def check_active(self) -> None:
        if self.abandoned:
            raise contract.Abandoned

    def heir(self, die_at: int | None = None) -> 'Context':
        """The context of who goes on where this one died."""
        return Context(die_at, journal=self.journal, last_step=self.last_step)
