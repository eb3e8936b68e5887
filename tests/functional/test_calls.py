# SPDX-License-Identifier: Apache-2.0
"""
How often an operation asks libvirt: counted at the connection.

Each call costs a round trip to the daemon, and one that is added is not seen
in any other test.  Whoever needs more says so here, and why in the
architecture page.
"""

import collections
import pathlib
import time
from collections.abc import Iterator

import pytest

from hawkfish_plugin.locks import Locks
from tests.bench.profile import Traced
from tests.functional.conftest import SMALL
from tests.lab.host import IMAGES, Host

# From the request to the end of the look after the task, of a running system
# with one snapshot: 93, 156 and 128 beside what is read of other files.  On a
# busy machine some answers are too old when they are needed.
MOST = {'create': 130, 'revert': 195, 'delete': 170}
# How often all files of the host are read: before anything is overwritten or
# removed.  No other look reads a file that nothing names.
READ_ALL = {'create': 0, 'revert': 2, 'delete': 2}
_LOCK_SECONDS = 60.0

Calls = collections.Counter[str]


@pytest.fixture
def traced(folder: pathlib.Path, host: Host) -> Iterator[Traced]:
    made = Traced(folder, host.uri)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def strangers(host: Host) -> Iterator[pathlib.Path]:
    """A folder of files that no system has, beside those of all systems."""
    folder = host.path(IMAGES)
    yield folder
    for path in folder.glob('stranger-*'):
        path.unlink()


def fill(folder: pathlib.Path, count: int) -> None:
    for number in range(count):
        (folder / f'stranger-{number}').write_bytes(bytes(512))


def work(traced: Traced, uuid: str) -> dict[str, Calls]:
    """The calls of each operation, by their names."""
    locks = Locks(pathlib.Path(traced.environment['OS_HAWKFISH__STATE_DIR']))
    counted = {}
    for verb, do in {
        'create': lambda: traced.create(uuid, Name='counted'),
        'revert': lambda: traced.revert(uuid, 'counted'),
        'delete': lambda: traced.delete(uuid, 'counted'),
    }.items():
        begin = time.monotonic()
        do()
        with locks.system(uuid, _LOCK_SECONDS):
            span = begin, time.monotonic()
        counted[verb] = Calls(
            name
            for name, _ in traced.calls(span)
            if not name.startswith('database')
        )
    return counted


@pytest.mark.once
@pytest.mark.parametrize('files', [10, 1000])
def test_the_calls_of_an_operation(make_system, traced, strangers, files):
    """As many on a host of a thousand files as on one of ten."""
    system = make_system(**SMALL)
    system.domain.create()
    fill(strangers, files)
    # Whatever is new is read once.
    work(traced, system.uuid)

    for verb, calls in work(traced, system.uuid).items():
        most = MOST[verb] + READ_ALL[verb] * files
        assert calls.total() <= most, calls
