# SPDX-License-Identifier: Apache-2.0
"""
Paired measurements, and what is said of them.

Ours and the yardstick are measured in turn, as what a machine can do differs
from machine to machine and from minute to minute: only ratios count.
"""

import dataclasses
import math
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence

from tests.lab.host import Host

Call = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Row:
    """
    One line of the table: *ours* against *yardstick*, all samples of both.

    *target* is the most that the ratio of the medians may be, if there is
    one; *limit* what the machine itself could do.
    """

    what: str
    against: str
    ours: Sequence[float]
    yardstick: Sequence[float] = ()
    target: float | None = None
    unit: str = 's'
    limit: str = ''
    figure: Callable[[Sequence[float]], float] = statistics.median

    @property
    def ratio(self) -> float | None:
        if not self.yardstick:
            return None
        return self.figure(self.ours) / self.figure(self.yardstick)

    @property
    def verdict(self) -> str:
        if self.target is None or self.ratio is None:
            return ''
        return 'pass' if self.ratio <= self.target else 'miss'


def seconds(call: Call) -> float:
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


def in_turn(rounds: int, *calls: Call) -> list[list[float]]:
    """The seconds of each of *calls*; a first round fills caches."""
    taken = [[seconds(call) for call in calls] for _ in range(rounds + 1)]
    return [list(samples) for samples in zip(*taken[1:], strict=True)]


def p99(samples: Sequence[float]) -> float:
    return sorted(samples)[math.ceil(len(samples) * 0.99) - 1]


class Virsh:
    """The plain tool, run where the daemon runs, as its user would."""

    def __init__(self, host: Host) -> None:
        self._command = [
            'chroot',
            str(host.root),
            'virsh',
            '-q',
            '-c',
            'qemu:///system',
        ]

    def __call__(self, *words: str) -> str:
        return subprocess.run(
            [*self._command, *words],
            check=True,
            capture_output=True,
            text=True,
            env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'},
        ).stdout
