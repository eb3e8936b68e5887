# SPDX-License-Identifier: Apache-2.0
"""
What a driver may offer besides: the proof that a snapshot works.

A part of the driver contract (see ``contract``).  The snapshot is brought up
as a clone that is isolated and thrown away, and looked at; neither the system
nor the snapshot is touched.  A backup is proved likewise, see ``backups``.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from hawkfish_plugin.drivers.contract import TaskContext
from hawkfish_plugin.records import Record

# What is checked; FILES is before anything is started.
FILES, RUNNING, AGENT = 'Files', 'Running', 'Agent'
CONSOLE, COMMAND = 'Console', 'Command'

PASSED, FAILED, NOT_RUN = 'Passed', 'Failed', 'NotRun'

RUN_SECONDS = 5
DEADLINE_SECONDS = 120


@dataclasses.dataclass(frozen=True)
class VerifyRequest(Record):
    """
    What is checked of a clone of the snapshot *name*.

    Or of the backup whose id that is.  *memory*: it goes on with the memory of
    the snapshot, if that has one; or else it boots, as that of a backup does.
    It has to run for *run_seconds*.  *agent*: the guest agent has to answer;
    *console*: what a line of the console has to have, where ``*`` is anything;
    *command*: a program of the guest, by its path and with its arguments, that
    has to return 0.  *deadlines* are in seconds since the
    clone runs, by the name of a check; *screenshot*: one is kept.
    *memory_size* is what the memory had in bytes when it was captured.
    """

    name: str
    memory: bool = True
    run_seconds: int = RUN_SECONDS
    agent: bool = False
    console: str | None = None
    command: Sequence[str] = ()
    screenshot: bool = False
    deadlines: Mapping[str, int] = dataclasses.field(default_factory=dict)
    memory_size: int | None = None

    @property
    def checks(self) -> list[str]:
        """What is checked of the clone, by name."""
        wanted = {
            RUNNING: True,
            AGENT: self.agent,
            CONSOLE: self.console is not None,
            COMMAND: bool(self.command),
        }
        return [name for name, holds in wanted.items() if holds]

    def deadline(self, check: str) -> int:
        return self.deadlines.get(check, DEADLINE_SECONDS)


@dataclasses.dataclass(frozen=True)
class Checked(Record):
    """
    One *check*, and its *result*: PASSED, FAILED or NOT_RUN.

    *seconds* is when that was known, since the clone runs; *detail* says what
    was found.
    """

    check: str
    result: str
    seconds: float = 0.0
    detail: str = ''


@dataclasses.dataclass(frozen=True)
class Verified:
    """
    What was found of a snapshot, or a backup.

    *memory*: its memory was loaded.  *left_out* is what the clone was without.
    *screenshot* is a PNG file.
    """

    checks: Sequence[Checked]
    memory: bool = False
    left_out: Sequence[str] = ()
    screenshot: bytes | None = None

    @property
    def passed(self) -> list[str]:
        """The checks that have passed, by name."""
        return [one.check for one in self.checks if one.result == PASSED]

    @property
    def failure(self) -> Checked | None:
        """The check that has failed, if any has."""
        for one in self.checks:
            if one.result == FAILED:
                return one
        return None

    def dump(self) -> dict[str, Any]:
        """As JSON has it, without the screenshot."""
        return {
            'checks': [one.dump() for one in self.checks],
            'memory': self.memory,
            'left_out': list(self.left_out),
        }

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> 'Verified':
        return cls(
            tuple(Checked.load(one) for one in stored.get('checks', ())),
            bool(stored.get('memory')),
            tuple(stored.get('left_out', ())),
        )


def without_clone(request: VerifyRequest, why: str) -> list[Checked]:
    """The checks where the files are not right, as *why* says."""
    rest = [Checked(name, NOT_RUN) for name in request.checks]
    return [Checked(FILES, FAILED, 0.0, why), *rest]


@runtime_checkable
class Verifies(Protocol):
    """A driver that proves its snapshots."""

    def check_verify(self, uuid: str, request: VerifyRequest) -> None:
        """
        Raise what keeps the snapshot from being verified.

        What is wrong with its files does not; that is found out by ``verify``.
        """

    def verify(
        self, uuid: str, request: VerifyRequest, context: TaskContext
    ) -> Verified:
        """
        Bring up a clone and look at it; nobody may change the chain meanwhile.

        Nothing of the clone is left, however it ends.  Raises what says
        nothing of the snapshot: no space, a hypervisor that is away.
        """

    def settle_verify(
        self, uuid: str, request: VerifyRequest, context: TaskContext
    ) -> Verified:
        """
        What was found, if all was; see ``contract.Driver`` for settling.

        Nothing of the clone is left.
        """

    def remove_clone(self, journal: Mapping[str, Any]) -> None:
        """Remove what is left of the clone of a task with that *journal*."""
