# SPDX-License-Identifier: Apache-2.0
"""
``python -m tests.hostile``: all that a hostile client sends, and 140 kills.

Takes about ten minutes, most of them for the kills.
"""

import argparse
import collections
import pathlib
import random
import sys
import tempfile
from collections.abc import Callable, Iterable

from tests.hostile import bodies, destinations, queries, strangers
from tests.hostile.kills import Kills
from tests.hostile.target import Answer, Request, Target, guard, unguard

_SHOWN = 20
# What the service has held against before: it is never less.
_LEAST = {
    'requests past authentication': 6_800,
    'malformed bodies': 31_788,
    'queries and headers': 4_477,
    'destinations': 400,
}

Fault = Callable[[Request, Answer], str | None]


class Report:
    """What was found, in print; *faults* counts what there must not be."""

    def __init__(self) -> None:
        self.faults = 0

    def send(
        self,
        what: str,
        target: Target,
        requests: Iterable[Request],
        fault: Fault,
    ) -> None:
        """Ask all *requests*, none of which may be a *fault*."""
        statuses: collections.Counter[int] = collections.Counter()
        for request in requests:
            answer = target.ask(request)
            statuses[answer.status] += 1
            if found := fault(request, answer):
                self.tell(f'{found}: {request} {answer.body[:300]!r}')
        print(f'{what}: {statuses.total()}, {dict(sorted(statuses.items()))}')
        if statuses.total() < _LEAST[what]:
            self.tell(f'{what}: these are too few')

    def tell(self, fault: str) -> None:
        self.faults += 1
        if self.faults <= _SHOWN:
            print(fault[:2000])


def _send_all(target: Target, report: Report) -> None:
    before = target.state()
    guard(target, target.folder)
    report.send(
        'requests past authentication',
        target,
        strangers.requests(target),
        strangers.fault,
    )
    unguard(target)
    report.send(
        'malformed bodies', target, bodies.requests(target), bodies.fault
    )
    with destinations.restricted(target):
        report.send(
            'destinations', target, destinations.requests(), bodies.fault
        )
    if target.state() != before:
        report.tell('something has changed')
    report.send(
        'queries and headers', target, queries.requests(target), queries.fault
    )
    count, strayed = destinations.redirected(target)
    print(f'redirections of events: {count}')
    for push in strayed:
        report.tell(f'an event went elsewhere: {push}')


def _kill(folder: pathlib.Path, rounds: int, report: Report) -> None:
    kills = Kills(folder, random.Random(rounds))
    kills.begin()
    promised = 0
    try:
        for _ in range(rounds):
            for fault in kills.round():
                report.tell(fault)
            promised += kills.promised
    finally:
        kills.end()
    print(f'kills: {rounds}, of {promised} operations that were promised')


def main() -> int:
    parser = argparse.ArgumentParser('tests.hostile', description=__doc__)
    parser.add_argument('--kills', type=int, default=140)
    rounds = parser.parse_args().kills
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        _send_all(Target(folder), report)
        if rounds:
            (folder / 'killed').mkdir()
            _kill(folder / 'killed', rounds, report)
    print(f'faults: {report.faults}')
    return 1 if report.faults else 0


if __name__ == '__main__':
    sys.exit(main())
