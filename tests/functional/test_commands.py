# SPDX-License-Identifier: Apache-2.0
"""Every command of ``hawkfish``, with a real domain behind the service."""

import importlib.metadata
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from hawkfish_plugin.cli import app
from tests.functional.conftest import SMALL, System
from tests.functional.emulator import Emulator

# The commands speak HTTP, and never to a libvirt.
pytestmark = pytest.mark.once

PROGRAM = pathlib.Path(sys.executable).parent / 'hawkfish'
COMMANDS = {
    point.name.replace('_', ' ').removeprefix('hawkfish ')
    for point in importlib.metadata.entry_points(group=app.COMMANDS)
}
# Nothing listens there.
NOWHERE = 'http://127.0.0.1:9/'


class Terminal:
    """What runs the commands, and knows which have run."""

    def __init__(self, url: str) -> None:
        self._environment = {**os.environ, 'HAWKFISH_URL': url}
        self.typed: set[str] = set()

    def start(self, *words: str) -> subprocess.Popen[str]:
        self.typed |= {' '.join(words[:n]) for n in (1, 2, 3)}
        return subprocess.Popen(
            [PROGRAM, *words],
            env=self._environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Whoever started the tests in the background has let all of them
            # ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def __call__(self, *words: str) -> str:
        process = self.start(*words)
        printed, told = process.communicate(timeout=60)
        assert process.returncode == 0, (words, told)
        return printed.strip()


@pytest.fixture
def hawkfish(emulator: Emulator) -> Terminal:
    return Terminal(emulator.url)


def test_every_command(
    hawkfish: Terminal,
    emulator: Emulator,
    make_system: Callable[..., System],
    tmp_path: pathlib.Path,
    imports: None,
) -> None:
    """Each command of the reference does its part in a life of snapshots."""
    node = make_system(**SMALL).name

    # Create and look.
    task = hawkfish(
        *('snapshot', 'create', node, 'one', '--no-wait'),
        *('-f', 'value', '-c', 'ID'),
    )
    hawkfish('task', 'wait', task)
    assert 'Completed' in hawkfish('task', 'show', task)
    assert f'{task} create' in hawkfish('task', 'list', '-f', 'value')
    hawkfish('snaps-create', node, '--name', 'two', '--lock')
    assert 'one' in hawkfish('snaps-ls', node)
    assert 'two' in hawkfish('snapshot', 'list', node)
    assert 'one' in hawkfish('snapshot', 'show', node, 'two', '-c', 'Parent')
    hawkfish('snapshot', 'set', node, 'two', '--unlock')
    assert hawkfish('snapshot', 'tree', node).count('\n') == 2

    # Limits and cancelling.
    hawkfish('policy', 'set', node, '--max-snapshots', '9')
    assert '9' in hawkfish('policy', 'show', node, '-c', 'Max Snapshots')
    emulator.order('sleep=5', 'create', 'prepare')
    late = hawkfish(
        *('snapshot', 'create', node, 'late', '--no-wait'),
        *('-f', 'value', '-c', 'ID'),
    )
    hawkfish('task', 'cancel', late)
    assert hawkfish.start('task', 'wait', late).wait(60) == 1

    # What went wrong.
    hawkfish('system', 'repair', node, '--wait')
    emulator.order('sleep=5', 'create', 'prepare')
    left = hawkfish(
        *('snapshot', 'create', node, 'left', '--no-wait'),
        *('-f', 'value', '-c', 'ID'),
    )
    emulator.wait_ordered()
    hawkfish('task', 'abandon', left)
    hawkfish('task', 'acknowledge', left)

    # Out of the host, and back.
    bundle = str(tmp_path / 'bundle.tar')
    hawkfish('snapshot', 'export', node, 'one', '-o', bundle)
    hawkfish('system', 'export', node, '-o', bundle)
    hawkfish('system', 'import', bundle, '--name', 'imported-c')
    assert 'imported-c' in hawkfish('system', 'list')

    # Back, and away.
    hawkfish('snaps-revert', node, 'one')
    hawkfish('snapshot', 'revert', node, 'two', '--wait')
    hawkfish('snapshot', 'delete', node, 'two', '--wait')
    hawkfish('snaps-rm', node, 'one')
    hawkfish('snaps-create', node)
    hawkfish('snapshot', 'purge', node, '--wait')
    assert hawkfish('snapshot', 'list', node, '-f', 'json') == '[]'

    # Groups.
    assert node in hawkfish('system', 'list')
    hawkfish('group', 'create', 'lab', node)
    assert 'lab' in hawkfish('group', 'list')
    other = make_system(**SMALL).name
    hawkfish('group', 'add', 'lab', other)
    hawkfish('group', 'remove', 'lab', other)
    assert node in hawkfish('group', 'show', 'lab')
    snapshots = ('group', 'snapshot')
    hawkfish(*snapshots, 'create', 'lab', '--name', 'all', '--wait')
    assert 'all' in hawkfish(*snapshots, 'list', 'lab')
    assert 'all' in hawkfish(*snapshots, 'tree', 'lab')
    hawkfish(*snapshots, 'set', 'lab', 'all', '--description', 'of a group')
    assert 'of a group' in hawkfish(*snapshots, 'show', 'lab', 'all')
    hawkfish(*snapshots, 'revert', 'lab', 'all', '--wait')
    hawkfish('snapshot', 'verify', node, 'all')
    out = ('group', 'export', 'lab', '--snapshot', 'all', '-o', bundle)
    hawkfish(*out)
    back = ('--name', 'back', '--name-prefix', 'imported-')
    hawkfish('group', 'import', bundle, *back)
    assert f'imported-{node}' in hawkfish('group', 'show', 'back')
    hawkfish('group', 'delete', 'back')
    hawkfish(*snapshots, 'adopt', 'lab')
    hawkfish(*snapshots, 'delete', 'lab', 'all', '--wait')
    hawkfish('group', 'delete', 'lab')

    # What will happen, if nobody suspends it.
    hourly = ('--every', '1h', '--keep-last', '2')
    hawkfish('schedule', 'create', 'often', '--system', node, *hourly)
    hawkfish('schedule', 'suspend', 'often')
    hawkfish('schedule', 'resume', 'often')
    assert 'often' in hawkfish('schedule', 'list')
    assert 'often' in hawkfish('schedule', 'show', 'often')
    hawkfish('schedule', 'delete', 'often')

    # What has happened.
    assert 'Jobs/often' in hawkfish('log', 'list', '--long')
    hawkfish('log', 'clear')
    number = hawkfish(
        'subscription', 'create', NOWHERE, '-f', 'value', '-c', 'ID'
    )
    assert NOWHERE in hawkfish('subscription', 'list')
    assert NOWHERE in hawkfish('subscription', 'show', number)
    hawkfish('subscription', 'delete', number)
    watch = hawkfish.start('event', 'watch', '--after', '0')
    assert watch.stdout and watch.stdout.readline().strip()
    watch.send_signal(signal.SIGINT)
    assert watch.wait(60) == 130

    # Backups need an emulator with a repository: see test_backups.py. Those of
    # the card are typed above; the others are the same commands once more.
    but = 'backup ', 'snaps-'
    tried = {name for name in COMMANDS if not name.startswith(but)}
    assert tried - hawkfish.typed == set()
