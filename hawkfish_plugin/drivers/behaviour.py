# SPDX-License-Identifier: Apache-2.0
"""
How the fake driver behaves, and the options that say so.

Owns ``Behaviour``, by which a test makes an operation slow, lets it fail or
kills the process in it, and the options of ``hawkfish-emulator`` by which a
user does: ``--fake-seconds``, ``--fake-fail`` and ``--fake-die``.  Owns
``--version`` and ``--fake-systems`` as well, and what these systems are, and
``Run``, one run of an operation that goes as it is told.
"""

import argparse
import dataclasses
import math
import os
import signal
import time
from collections.abc import (
    Collection,
    Mapping,
    MutableMapping,
    Sequence,
)
from importlib import metadata
from typing import Any

from hawkfish_plugin import exceptions, records
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.emulator import internals

# It has no guest to freeze, and nothing to start.
_NO_STEPS = {
    (contract.CREATE, 'freeze'),
    (contract.REVERT, 'start'),
    (contract.BACKUP, 'freeze'),
}
STEPS: Mapping[str, Sequence[str]] = {
    operation: tuple(s for s in steps if (operation, s) not in _NO_STEPS)
    for operation, steps in contract.STEPS.items()
}
# Where the emulator's configuration has what the command line asked for.
SETTING = 'HAWKFISH_FAKE_BEHAVIOUR'

MOST_SYSTEMS = 1000

PROGRAM = 'hawkfish-emulator'
_POLL_SECONDS = 0.02


@dataclasses.dataclass
class Behaviour:
    """
    How operations go; by default at once, and well.

    A place is an operation and a step of ``STEPS``, as ``delete:merge``.

    *seconds* is how long each operation takes.  *fail_at* has the error that
    is raised when a place is reached; at a place of *die_at* the process is
    killed.  Recovering an interrupted operation is spared all of these.
    *depth* is how many snapshots there is room for, where that is limited.
    *dependents* are who else is backed by which snapshot, by the names of
    these.  *power_state* is what the systems are taken to be in, whatever the
    emulator has.  *only* are the UUIDs of the systems that fail, die or lack
    depth; None: all.
    """

    seconds: float = 0.0
    fail_at: Mapping[str, exceptions.HawkFishError] = dataclasses.field(
        default_factory=dict
    )
    die_at: Collection[str] = ()
    depth: int | None = None
    dependents: Mapping[str, Sequence[contract.Dependent]] = dataclasses.field(
        default_factory=dict
    )
    power_state: str | None = None
    only: Collection[str] | None = None

    def is_for(self, uuid: str) -> bool:
        return self.only is None or uuid in self.only


class Run:
    """One run of *operation* on a system, which goes as *wanted* says."""

    def __init__(
        self,
        operation: str,
        context: contract.TaskContext,
        wanted: Behaviour,
        uuid: str,
    ) -> None:
        self._operation = operation
        self._context = context
        self._wanted = wanted
        self._uuid = uuid

    def step(self, name: str, noted: records.Record | None = None) -> None:
        self._context.step(name, noted)
        if not self._wanted.is_for(self._uuid):
            return
        place = f'{self._operation}:{name}'
        if place in self._wanted.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if place in self._wanted.fail_at:
            raise self._wanted.fail_at[place]

    def note(self, name: str, noted: records.Record) -> None:
        """Note what is known by now of the step *name*."""
        self._context.step(name, noted)

    def pass_time(self) -> None:
        begin = time.monotonic()
        # It may be made quicker while it runs.
        while (passed := time.monotonic() - begin) < (
            seconds := self._wanted.seconds
        ):
            self._context.progress(int(100 * passed / seconds))
            if self._context.cancelled:
                raise exceptions.OperationCancelled(self._operation)
            time.sleep(min(_POLL_SECONDS, seconds - passed))
        self._context.check_active()


def take(
    arguments: Sequence[str], settings: MutableMapping[str, Any]
) -> list[str]:
    """
    Take our options out of *arguments*, and return the others.

    *settings*, the emulator's configuration, gets the ``Behaviour`` that they
    ask for.  Exits with status 2 where one of them makes no sense.
    """
    parser = _parser()
    known, others = parser.parse_known_args(arguments)
    asked = {name: value for name, value in vars(known).items() if value}
    if asked and '--fake' not in others and not internals.wants_help(others):
        parser.error(f'--fake-{next(iter(asked))} needs --fake')
    if known.systems:
        settings.update(internals.fake_systems(known.systems))
    settings[SETTING] = Behaviour(
        known.seconds,
        {place: _failure(place) for place in known.fail},
        frozenset(known.die),
    )
    return others


def usage() -> str:
    """Our options as the usage of a program has them, for its help."""
    return ' '.join(_parser(None).format_usage().split()[2:])


def options() -> str:
    """What each of our options is for, for the help of a program."""
    return _parser().format_help()


def _parser(usage: str | None = argparse.SUPPRESS) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        PROGRAM,
        usage=usage,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        '--version',
        action='version',
        version=f'%(prog)s {metadata.version("hawkfish-snapshots")}',
        help='show the version and exit',
    )
    group = parser.add_argument_group(
        'options of the plugin, with --fake',
        'OPERATION:STEP is one of ' + ', '.join(_places()) + '.',
    )
    group.add_argument(
        '--fake-seconds',
        dest='seconds',
        type=_seconds,
        default=0.0,
        metavar='SECONDS',
        help='how long each operation takes',
    )
    group.add_argument(
        '--fake-systems',
        dest='systems',
        type=_count,
        metavar='N',
        help='how many systems there are: fake, fake-1, fake-2 and so on',
    )
    for verb, what in (
        ('fail', 'let an operation fail at this step; may be repeated'),
        ('die', 'let the emulator die at this step; may be repeated'),
    ):
        group.add_argument(
            f'--fake-{verb}',
            dest=verb,
            type=_place,
            action='append',
            default=[],
            metavar='OPERATION:STEP',
            help=what,
        )
    return parser


def _places() -> list[str]:
    return [
        f'{operation}:{step}'
        for operation, steps in STEPS.items()
        for step in steps
    ]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number of seconds'
        )
    return seconds


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9) or not (
        1 <= int(text) <= MOST_SYSTEMS
    ):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number from 1 to {MOST_SYSTEMS}'
        )
    return int(text)


def _place(text: str) -> str:
    if text not in _places():
        raise argparse.ArgumentTypeError(
            f'{text!r} is none of {", ".join(_places())}'
        )
    return text


def _failure(place: str) -> exceptions.HawkFishError:
    operation, _, step = place.partition(':')
    return exceptions.OperationFailed(
        operation, f'the fake driver was told to fail at step {step}'
    )
