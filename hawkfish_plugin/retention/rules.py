# SPDX-License-Identifier: Apache-2.0
"""
The policy: which snapshots of a system go, which stay, and why.

Pure: it is given what is known of every snapshot, the limits, the time and
the driver's rule of what can be deleted, and plays the deletes through on the
tree.  One computation serves the real
prune, the answer to "what would happen" and the refusal of a create.  Nothing
is deleted here.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.retention import classes
from hawkfish_plugin.retention.classes import Classes

PRUNE, REFUSE = 'Prune', 'Refuse'
ON_LIMIT = (PRUNE, REFUSE)

# Why a snapshot goes.
EXPIRED, MAX_AGE = 'Expired', 'MaxAge'
MAX_SNAPSHOTS, MAX_BYTES = 'MaxSnapshots', 'MaxBytes'
SCHEDULE = 'Schedule'

# Why one stays.
LOCKED, CLONED, BUSY, DAMAGED = 'Locked', 'Cloned', 'Busy', 'Damaged'
GROUP = 'Group'
NEWEST, REFERENCED, WITHIN_LIMITS = 'Newest', 'Referenced', 'WithinLimits'
NEWEST_VERIFIED = 'NewestVerified'

NOTHING_ELSE = (GROUP, WITHIN_LIMITS, *classes.REASONS)
"""Those of what no limit wants gone, or others hold"""


Referrers = Callable[
    [Sequence[contract.Snapshot]], Mapping[str, Sequence[str]]
]
"""Which snapshots keep which from being deleted; see ``contract.Driver``."""


_Marks = Mapping[str, str | None]
"""As ``of_schedules`` has them"""


@dataclasses.dataclass(frozen=True)
class Limits:
    """
    Of one system; 0 is no limit, *age* in seconds, *size* in bytes.

    *keep_verified*: the newest snapshot that was proved stays.  *schedules*
    are the classes of those that have any, by their ids: they are of what each
    has made, and of nothing else.
    """

    snapshots: int = 0
    age: int = 0
    size: int = 0
    on_limit: str = PRUNE
    keep_verified: bool = False
    schedules: Mapping[int, Classes] = dataclasses.field(default_factory=dict)

    def of_time(self) -> 'Limits':
        """Those of them that act without a create."""
        return Limits(age=self.age, keep_verified=self.keep_verified)


@dataclasses.dataclass(frozen=True)
class Subject:
    """
    What the policy has to know of one snapshot.

    *keep* are the reasons for which it stays whatever the limits say.  One
    that is still being created is *pending*, and counts for nothing; one that
    is being deleted already is *leaving*.  *verified*: the last verification
    has passed.  *scheduled*: the schedule that has made it, and when.
    """

    record: contract.Snapshot
    size: contract.Size = contract.Size()
    expires: int | None = None
    keep: tuple[str, ...] = ()
    pending: bool = False
    leaving: bool = False
    verified: bool = False
    scheduled: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        return self.record.name


@dataclasses.dataclass(frozen=True)
class Plan:
    """
    *pruned* are the snapshots that go, each with the reason, in the order in
    which they can; *kept* the reasons of those that stay; *unmet* the limits
    that cannot be reached.
    """

    pruned: tuple[tuple[str, str], ...]
    kept: dict[str, tuple[str, ...]]
    unmet: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Preview:
    """
    What a create would make, and what would become of the others.

    *first* says that those that go would go before it.
    """

    record: contract.Snapshot
    forecast: contract.Forecast
    plan: Plan
    first: bool


@dataclasses.dataclass(frozen=True)
class RevertPreview:
    """
    What a revert would do.

    *current* is the snapshot since which the state is discarded, and *safety*
    what is made of it before, if anything.
    """

    forecast: contract.RevertForecast
    current: str | None
    safety: Preview | None


def plan(
    subjects: Sequence[Subject],
    limits: Limits,
    now: float,
    referrers: Referrers,
) -> Plan:
    """
    What *limits* make of *subjects*, which come oldest first.

    A delete can make way for others, and is in no other's way: so the oldest
    that may go goes, again and again.
    """
    left = _without_leaving(subjects)
    # What goes changes nothing of it.
    marks = of_schedules(left, limits)
    pruned: list[tuple[str, str]] = []
    while found := _next(left, limits, marks, now, referrers):
        subject, reason = found
        pruned.append((subject.name, reason))
        left = _without(left, subject)
    why = _obstacles(left, limits, referrers)
    return Plan(
        tuple(pruned),
        {
            s.name: why[s.name] or (marks.get(s.name) or WITHIN_LIMITS,)
            for s in left
        },
        tuple(
            dict.fromkeys(
                (
                    *(
                        due
                        for s in left
                        if (due := _due(s, limits, marks, now))
                    ),
                    *_over(left, limits),
                )
            )
        ),
    )


def of_schedules(
    subjects: Sequence[Subject], limits: Limits
) -> Mapping[str, str | None]:
    """
    Of what schedules with classes have made, the class that keeps each.

    By its name; None where none does, and without what is not of any.  What
    is still being created may fail, what is being deleted is gone, and what is
    damaged takes no place of what can be used.
    """
    found: dict[str, str | None] = {}
    for schedule, kept in limits.schedules.items():
        made = {
            s.name: s.scheduled[1]
            for s in subjects
            if s.scheduled
            and s.scheduled[0] == schedule
            and not s.pending
            and not s.leaving
            and DAMAGED not in s.keep
        }
        found |= dict(zip(made, kept.kept([*made.values()]), strict=True))
    return found


def exceeded(
    subjects: Sequence[Subject], limits: Limits, size: contract.Size
) -> tuple[str, int] | None:
    """Which limit, of what value, one more snapshot of *size* would break."""
    left = _without_leaving(subjects)
    # Those that are being created will be there before this one.
    if limits.snapshots and len(left) >= limits.snapshots:
        return MAX_SNAPSHOTS, limits.snapshots
    if limits.size and total(left) + size.own + size.disks > limits.size:
        return MAX_BYTES, limits.size
    return None


def deletable(subjects: Sequence[Subject], referrers: Referrers) -> list[str]:
    """The snapshots that a user can delete now, oldest first."""
    referenced = referrers([s.record for s in subjects])
    return [
        s.name
        for s in subjects
        if s.name not in referenced
        and not s.leaving
        and not set(s.keep) - {DAMAGED}
    ]


def total(subjects: Sequence[Subject]) -> int:
    """The bytes that *subjects* take together."""
    return sum(s.size.own + s.size.disks for s in subjects)


def _next(
    left: Sequence[Subject],
    limits: Limits,
    marks: _Marks,
    now: float,
    referrers: Referrers,
) -> tuple[Subject, str] | None:
    """The next to go, and why."""
    obstacles = _obstacles(left, limits, referrers)
    free = [s for s in left if not obstacles[s.name]]
    for subject in free:
        reason = _due(subject, limits, marks, now)
        if reason:
            return subject, reason
    broken = _over(left, limits) if limits.on_limit == PRUNE else []
    return (free[0], broken[0]) if free and broken else None


def _due(
    subject: Subject, limits: Limits, marks: _Marks, now: float
) -> str | None:
    """Which limit of its own *subject* has passed."""
    if subject.pending:
        return None
    if subject.expires is not None and subject.expires <= now:
        return EXPIRED
    if limits.age and subject.record.created + limits.age <= now:
        return MAX_AGE
    if marks.get(subject.name, SCHEDULE) is None:
        return SCHEDULE
    return None


def _over(left: Sequence[Subject], limits: Limits) -> list[str]:
    """Which limits *left* break together."""
    present = [s for s in left if not s.pending]
    broken = []
    if limits.snapshots and len(present) > limits.snapshots:
        broken.append(MAX_SNAPSHOTS)
    if limits.size and total(present) > limits.size:
        broken.append(MAX_BYTES)
    return broken


def _obstacles(
    left: Sequence[Subject], limits: Limits, referrers: Referrers
) -> dict[str, tuple[str, ...]]:
    """Why each of *left* must not go."""
    referenced = referrers([s.record for s in left])
    # A create that goes on may fail: what was made last is kept until then.
    newest = next((s for s in reversed(left) if not s.pending), None)
    proved = None
    if limits.keep_verified:
        proved = next((s for s in reversed(left) if s.verified), None)
    return {
        s.name: (
            *s.keep,
            *([NEWEST] if s is newest else []),
            *([NEWEST_VERIFIED] if s is proved else []),
            *([REFERENCED] if s.name in referenced else []),
        )
        for s in left
    }


def _without_leaving(subjects: Sequence[Subject]) -> list[Subject]:
    left = list(subjects)
    for subject in subjects:
        if subject.leaving:
            # What was re-parented meanwhile is another object by now.
            left = _without(
                left, next(s for s in left if s.name == subject.name)
            )
    return left


def _without(left: Sequence[Subject], gone: Subject) -> list[Subject]:
    """*left* as it is when *gone* is deleted."""
    return [_after(s, gone) for s in left if s is not gone]


def _after(subject: Subject, gone: Subject) -> Subject:
    """*subject* when its parent, or the current snapshot, is *gone*."""
    record = subject.record
    if record.parent == gone.name:
        # What the disks had got in *gone* is merged into the child, or,
        # below the first one, into the disks that the system began with.
        disks = gone.size.disks + subject.size.disks
        return dataclasses.replace(
            subject,
            record=dataclasses.replace(record, parent=gone.record.parent),
            size=dataclasses.replace(
                subject.size, disks=disks if gone.record.parent else 0
            ),
        )
    if gone.record.current and record.name == gone.record.parent:
        return dataclasses.replace(
            subject, record=dataclasses.replace(record, current=True)
        )
    return subject
