# SPDX-License-Identifier: Apache-2.0
"""
What may be decided by one look.

A decision asks many questions about a host, one after the other, and often
the same one; and each look at its files takes as long as the host is big.
Owns since when a look will do for who decides: the begin of the decision, or
what this process has changed last; and the answers that a decision has.

A request decides, and its task decides again, a moment later as a rule.  The
task asks anew what its domain is and does.  What it may take from its request
is what was seen of files, for ``_ANSWER_SECONDS``, and only as long as this
process changes nothing on the host: between any look and what is done after
it others may change files, however short that is.  A delete takes nothing.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar, cast

T = TypeVar('T')

# Who waits in the middle of a decision looks again; what is asked of a domain
# or a file is cheaper than a look at all.
_MOST_SECONDS, _ANSWER_SECONDS = 5.0, 0.5

# Of each question, when it was asked, and the answer.
_Answers = dict[Hashable, tuple[float, Any]]


@dataclasses.dataclass
class _Decision:
    """What was asked since it *began*; *files* are the answers on these."""

    began: float
    answers: _Answers = dataclasses.field(default_factory=dict)
    files: _Answers = dataclasses.field(default_factory=dict)


class _Thread(threading.local):
    decision: _Decision | None = None
    changed = 0.0


class Moments:
    """The decisions of each thread about one host."""

    def __init__(self) -> None:
        self._here = _Thread()
        self._changed = 0.0
        self._handed: dict[str, _Decision] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def at_one_time(self, *systems: str) -> Iterator[None]:
        """
        What is asked in the block is one decision, on *systems* if given.

        Their tasks can take over what was seen; see ``carrying_out``.
        """
        decision = _Decision(time.monotonic())
        with self._deciding(decision):
            yield
        # Whoever looks anew in the middle of a decision knows better.
        if self._here.decision:
            self._here.decision.answers |= decision.answers
            self._here.decision.files |= decision.files
        handed = _Decision(decision.began, files=decision.files)
        with self._lock:
            self._forget_old()
            self._handed |= dict.fromkeys(systems, handed)

    @contextlib.contextmanager
    def carrying_out(self, system: str) -> Iterator[None]:
        """The same of a task, which was decided on for *system*."""
        with self._lock:
            self._forget_old()
            handed = self._handed.pop(system, None)
        with self._deciding(handed or _Decision(time.monotonic())):
            yield

    def _forget_old(self) -> None:
        oldest = max(time.monotonic() - _ANSWER_SECONDS, self._changed)
        self._handed = {
            system: each
            for system, each in self._handed.items()
            if each.began > oldest
        }

    @contextlib.contextmanager
    def within(self) -> Iterator[None]:
        """One decision, or part of the one that the thread is at already."""
        if self._decision:
            yield
        else:
            with self.at_one_time():
                yield

    @contextlib.contextmanager
    def _deciding(self, decision: _Decision) -> Iterator[None]:
        outer, self._here.decision = self._here.decision, decision
        try:
            yield
        finally:
            self._here.decision = outer

    @property
    def _decision(self) -> _Decision | None:
        """That of this thread, until it changes something."""
        decision = self._here.decision
        if decision and self._here.changed <= decision.began:
            return decision
        return None

    def once(
        self, question: Hashable, ask: Callable[[], T], of_files: bool = False
    ) -> T:
        """
        What *ask* says; in a decision, what it said to the same *question*.

        Only until something is changed: what follows waits for things to
        happen, and asks to see them.
        """
        decision = self._decision
        if decision is None:
            return ask()
        answers = decision.files if of_files else decision.answers
        asked, answer = answers.get(question, (0.0, None))
        if not self._holds(asked):
            asked, answer = time.monotonic(), ask()
            answers[question] = asked, answer
        return cast(T, answer)

    def _holds(self, asked: float) -> bool:
        """Whether an answer that was *asked* for then still does."""
        return asked >= max(self.since, time.monotonic() - _ANSWER_SECONDS)

    def note(self, question: Hashable, answer: object, asked: float) -> None:
        """
        Remember what was told of files beside what was *asked*, at that time.

        For ``noted``, as long as an answer holds.
        """
        if self._decision:
            self._decision.files[question] = asked, answer

    def noted(self, question: Hashable, kind: type[T]) -> T | None:
        """The answer that was noted, and still holds; it is of *kind*."""
        decision = self._decision
        if decision is None:
            return None
        asked, answer = decision.files.get(question, (0.0, None))
        holds = isinstance(answer, kind) and self._holds(asked)
        return answer if holds else None

    def changing(self) -> None:
        """Something is about to be changed, or was: no look of before does."""
        self._here.changed = self._changed = time.monotonic()
        # Those of a host of many files take space, and a merge may take long.
        if self._here.decision:
            self._here.decision.answers.clear()
            self._here.decision.files.clear()

    @property
    def since(self) -> float:
        """When a look that will do for what is asked now may have begun."""
        now, decision = time.monotonic(), self._here.decision
        if decision is None:
            return now
        # Whoever has changed something, as a sub-task that makes room.
        return max(decision.began, self._changed, now - _MOST_SECONDS)
