# SPDX-License-Identifier: Apache-2.0
"""
``python -m tests.soak``: an hour with clients that misbehave, and kills.

Two services with gunicorn and four workers each.  One is killed every minute.
The other lasts: of it the threads, the descriptors and the memory are
measured, and how long a plain list takes its forty good clients, in turns with
ten others that misbehave and without.
"""

import argparse
import dataclasses
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

from tests.soak.clients import Clients, Timed
from tests.soak.service import Service, Size, grown

_GOOD, _BAD = 40, 10
# Of the service that is killed.
_FEWER_GOOD, _FEWER_BAD = 7, 5
_MINUTE = 60.0
# Of each minute: until the killed service is up again, and of each phase the
# beginning, in which the bad ones come or go.
_KILL_SECONDS, _TURN_SECONDS = 12.0, 3.0
_PHASE_SECONDS = (_MINUTE - _KILL_SECONDS) / 2
_MOST_SLOWER, _MOST_MEMORY = 2.0, 1.2


@dataclasses.dataclass(frozen=True)
class Phase:
    """A time of *begin* to *end*; *busy*, with those that misbehave."""

    begin: float
    end: float
    busy: bool

    def has(self, one: Timed) -> bool:
        return self.begin <= one.begin and one.begin + one.seconds <= self.end


class Soak:
    """One run, in *folder*; what is wrong is gathered in ``faults``."""

    def __init__(self, folder: pathlib.Path, seconds: float) -> None:
        self.lasting = Service(folder / 'lasting')
        self.killed = Service(folder / 'killed')
        self.faults: list[str] = []
        self._rounds = max(2, round(seconds / _MINUTE))
        self._phases: list[Phase] = []
        self._bad: list[subprocess.Popen[bytes]] = []

    def run(self) -> None:
        good = Clients(self.lasting.start().process.url, lasts=True)
        fewer = Clients(self.killed.start().process.url, lasts=False)
        first = self._first_minute(good)
        tenth, last = self._go_on(good, fewer)
        self._check_speed(good)
        for name, clients, service in (
            ('lasting', good, self.lasting),
            ('killed', fewer, self.killed),
        ):
            print(f'{name}: {dict(sorted(clients.ended.items()))}')
            print(f'{name}: {len(service.receiver.ids)} events arrived')
            self._note(name, [f'{n} x {f}' for f, n in clients.faults.items()])
            self._note(name, service.unfinished())
            self._note(name, [f'event {n} is lost' for n in service.lost()])
        rested = self.lasting.rested(first)
        print(f'after the first minute: {first}\nat the end: {rested}')
        print(f'at the tenth minute: {tenth}\nat the last: {last}')
        self._note('lasting', grown(rested, first))
        if last.memory > _MOST_MEMORY * tenth.memory:
            self._note('lasting', [f'more memory: {tenth} {last}'])

    def stop(self) -> None:
        self._call_off()
        for service in (self.lasting, self.killed):
            service.process.stop()

    def _note(self, name: str, faults: list[str]) -> None:
        self.faults += [f'{name}: {fault}' for fault in faults]

    def _first_minute(self, good: Clients) -> Size:
        """What is needed at most, for all clients at once."""
        self._call(self.lasting, _BAD)
        good.hurry()
        good.start(_GOOD - 2)
        time.sleep(_MINUTE)
        good.stop()
        self._call_off()
        return self.lasting.rested()

    def _go_on(self, good: Clients, fewer: Clients) -> tuple[Size, Size]:
        """All minutes; the sizes at a sixth of the time, and at the end."""
        good.start(_GOOD - 2)
        fewer.start(_FEWER_GOOD)
        sizes = []
        for number in range(self._rounds):
            self._minute(busy_first=bool(number % 2))
            sizes.append(self.lasting.size())
        good.stop()
        fewer.stop()
        return sizes[max(1, self._rounds // 6) - 1], sizes[-1]

    def _minute(self, busy_first: bool) -> None:
        """The two phases change places: neither is always next to a kill."""
        begin = time.monotonic()
        killing = threading.Thread(target=self.killed.kill)
        killing.start()
        killing.join()
        self._sleep_until(begin + _KILL_SECONDS)
        for busy in (busy_first, not busy_first):
            if busy:
                self._call(self.lasting, _BAD)
                self._call(self.killed, _FEWER_BAD)
            start = time.monotonic()
            self._sleep_until(start + _PHASE_SECONDS)
            self._phases.append(
                Phase(start + _TURN_SECONDS, time.monotonic(), busy)
            )
            self._call_off()

    @staticmethod
    def _sleep_until(moment: float) -> None:
        time.sleep(max(0.0, moment - time.monotonic()))

    def _call(self, service: Service, count: int) -> None:
        """Let some come that misbehave."""
        self._bad.append(
            subprocess.Popen(
                [
                    *(sys.executable, '-m', 'tests.soak.misbehaving'),
                    *(service.process.url, str(count)),
                ]
            )
        )

    def _call_off(self) -> None:
        for process in self._bad:
            process.kill()
            process.wait()
        self._bad.clear()

    def _check_speed(self, good: Clients) -> None:
        def taken(chosen: Callable[[Phase], bool]) -> list[float]:
            phases = [phase for phase in self._phases if chosen(phase)]
            return [
                1000 * one.seconds
                for one in good.taken
                if any(phase.has(one) for phase in phases)
            ]

        calm, busy = (
            _percentiles(taken(lambda phase, b=b: phase.busy == b))  # type: ignore[misc]
            for b in (False, True)
        )
        print(f'lists without those that misbehave: {calm}')
        print(f'lists beside them:                  {busy}')
        if busy[99] > _MOST_SLOWER * calm[99]:
            self._note('lasting', [f'p99 of {busy[99]} and {calm[99]} ms'])


def _percentiles(milliseconds: list[float]) -> dict[int, float]:
    cuts = statistics.quantiles(milliseconds, n=100, method='inclusive')
    return {n: round(cuts[n - 1], 1) for n in (50, 90, 99)}


def main() -> int:
    parser = argparse.ArgumentParser('tests.soak', description=__doc__)
    parser.add_argument('--minutes', type=float, default=60.0)
    seconds = 60 * parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name:
        soak = Soak(pathlib.Path(name), seconds)
        try:
            soak.run()
        finally:
            soak.stop()
    print('\n'.join(soak.faults) or 'nothing is left that should not be')
    return 1 if soak.faults else 0


if __name__ == '__main__':
    sys.exit(main())
