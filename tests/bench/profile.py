# SPDX-License-Identifier: Apache-2.0
"""
Where the time of an operation goes: ``python -m tests.bench.profile``.

Every call to libvirt and every write to the state database is timed, in the
emulator itself, and told apart by whose work it is.  What is left is Python
and HTTP.
"""

import argparse
import collections
import contextlib
import json
import pathlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence

from tests.bench import operations, populate
from tests.lab import roots
from tests.lab.host import Host
from tests.served import ACTIVATE, Served

ROUNDS = 7

# Runs in the emulator, whose configuration file is Python.
TRACE = '''
import functools as _functools, json as _json, threading as _threading
import time as _time
import libvirt as _libvirt, libvirt_qemu as _qemu
from hawkfish_plugin import db as _db

def _trace(path):
    file = open(path, 'a', buffering=1)
    def note(name, begin):
        file.write(_json.dumps([
            _threading.current_thread().name, name, begin, _time.monotonic()
        ]) + chr(10))
    def timed(name, call):
        @_functools.wraps(call)
        def wrapper(*args, **kwargs):
            begin = _time.monotonic()
            try:
                return call(*args, **kwargs)
            finally:
                note(name, begin)
        return wrapper
    for kind in (
        _libvirt.virConnect, _libvirt.virDomain, _libvirt.virDomainSnapshot,
        _libvirt.virStoragePool, _libvirt.virStorageVol, _libvirt.virStream,
    ):
        for name, call in list(vars(kind).items()):
            # These ask the daemon nothing.
            if callable(call) and not name.startswith('_') and name not in (
                'connect', 'domain', 'name', 'getName', 'UUIDString', 'ID',
                'isAlive', 'getURI',
            ):
                setattr(kind, name, timed(f'{kind.__name__}.{name}', call))
    _libvirt.open = timed('libvirt.open', _libvirt.open)
    _qemu.qemuAgentCommand = timed('agent', _qemu.qemuAgentCommand)
    _qemu.qemuMonitorCommand = timed('monitor', _qemu.qemuMonitorCommand)
    transaction = _db.Database.transaction
    class Timed:
        def __init__(self, inner):
            self.inner = inner
        def __enter__(self):
            self.begin = _time.monotonic()
            return self.inner.__enter__()
        def __exit__(self, *args):
            try:
                return self.inner.__exit__(*args)
            finally:
                note('database.transaction', self.begin)
    _db.Database.transaction = lambda self, *args, **kwargs: Timed(
        transaction(self, *args, **kwargs))

_trace({path!r})
'''

# What an operation is about; and what the guest does.
THE_CALL = frozenset(
    (
        'virDomain.snapshotCreateXML',
        'virDomainSnapshot.delete',
        'virDomain.revertToSnapshot',
    )
)
AGENT = frozenset(
    (
        'agent',
        'virDomain.fsFreeze',
        'virDomain.fsThaw',
        'virDomain.setTime',
        'virDomain.agentSetResponseTimeout',
    )
)

Span = tuple[float, float]


def whose(name: str) -> str:
    """The group that a traced call belongs to."""
    if name in THE_CALL:
        return 'the call to libvirt itself'
    if name in AGENT:
        return 'the agent of the guest'
    if 'torage' in name or name.startswith('virStream'):
        return 'looks at storage'
    if name.startswith('database'):
        return 'the state database'
    return 'other calls to libvirt'


class Traced(Served):
    """The emulator, which notes what takes its time."""

    def __init__(self, folder: pathlib.Path, uri: str) -> None:
        self.trace = folder / 'trace'
        trace = TRACE.replace('{path!r}', repr(str(self.trace)))
        super().__init__(folder, uri, preamble=ACTIVATE + trace)

    def calls(self, span: Span) -> Iterator[tuple[str, float]]:
        """Name and seconds of each traced call in *span*."""
        for line in self.trace.read_text().splitlines():
            thread, name, begin, end = json.loads(line)
            # It looks on while another thread waits for libvirt.
            if span[0] <= begin <= span[1] and thread != 'hawkfish-watch':
                yield name, end - begin


def main() -> None:
    parser = argparse.ArgumentParser('python -m tests.bench.profile')
    parser.add_argument('--release', default=roots.default()[0])
    parser.add_argument(
        '--others',
        type=int,
        default=0,
        help='so many snapshots of another system, each with a file',
    )
    parser.add_argument(
        '--calls', action='store_true', help='tell each call apart'
    )
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Host('bench', options.release) as host,
    ):
        if options.others:
            populate.small(host, 'others')
            populate.grow(host, 'others', options.others)
        uuid = operations.boot(host, 'worked')
        emulator = Traced(pathlib.Path(folder), host.uri)
        emulator.start()
        try:
            spans = _work(operations.Ours.of(emulator, uuid))
        finally:
            emulator.stop()
        with contextlib.closing(host.connect()) as connection:
            connection.lookupByName('worked').destroy()
        for verb, found in spans.items():
            _print(verb, emulator, found, options.calls)


def _work(ours: operations.Ours) -> dict[str, list[Span]]:
    """When each operation began and ended; a first round fills caches."""
    spans: dict[str, list[Span]] = {'create': [], 'revert': [], 'delete': []}
    for _ in range(ROUNDS + 1):
        for verb, found in spans.items():
            begin = time.monotonic()
            getattr(ours, verb)('bench')
            found.append((begin, time.monotonic()))
            time.sleep(operations.SETTLE_SECONDS)
    return {verb: found[1:] for verb, found in spans.items()}


def _print(
    verb: str, emulator: Traced, spans: Sequence[Span], by_call: bool
) -> None:
    groups: dict[str, list[float]] = collections.defaultdict(list)
    calls: dict[str, list[float]] = collections.defaultdict(list)
    for begin, end in spans:
        taken: collections.Counter[str] = collections.Counter()
        for name, seconds in emulator.calls((begin, end)):
            taken[whose(name)] += seconds
            calls[name].append(seconds)
        rest = end - begin - sum(taken.values())
        for group, total in {**taken, 'Python and HTTP': rest}.items():
            groups[group].append(total)
    whole = statistics.median(end - begin for begin, end in spans)
    print(f'{verb}: {whole * 1e3:.0f} ms')
    for group, totals in sorted(groups.items(), key=_most):
        print(f'  {statistics.median(totals) * 1e3:7.1f} ms  {group}')
    for name, totals in sorted(calls.items(), key=_most) if by_call else ():
        count, total = len(totals) / len(spans), sum(totals) / len(spans)
        print(f'  {total * 1e3:7.1f} ms  {count:5.0f} times {name}')


def _most(item: tuple[str, list[float]]) -> float:
    return -sum(item[1])


if __name__ == '__main__':
    main()
