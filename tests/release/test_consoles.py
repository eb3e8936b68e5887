# SPDX-License-Identifier: Apache-2.0
"""The shell sessions of the documentation, against the fake emulator."""

import itertools
import os
import pathlib
import sys
import time

import pytest

from hawkfish_plugin.client import patience
from tests import consoles
from tests.packages import ROOT
from tests.served import Served

BIN = pathlib.Path(sys.executable).parent


@pytest.fixture
def shell(tmp_path):
    path = f'{BIN}{os.pathsep}{os.environ["PATH"]}'
    with consoles.Shell(tmp_path, {}, PATH=path) as started:
        yield started


def test_tour(shell):
    """Whoever follows the tour sees what it shows."""
    sections = consoles.read(ROOT / 'doc/source/user/tour.rst')
    del sections['With libvirt']

    for command in itertools.chain(*sections.values()):
        shell.run(command)


def test_operations_that_are_slow_and_fail(shell):
    """A queue, a cancel, a failure and a recovery are as the page shows."""
    sections = consoles.read(ROOT / 'doc/source/user/trying.rst')

    for command in itertools.chain(*sections.values()):
        shell.run(command)


def test_labs(shell):
    """A newcomer's group is as the page shows."""
    for command in consoles.read(ROOT / 'doc/source/user/labs.rst')['Try it']:
        shell.run(command)


def test_bundles(shell):
    """A snapshot becomes a file, and that a system, as the page shows."""
    sections = consoles.read(ROOT / 'doc/source/user/backups.rst')
    # It needs another host.
    del sections['A whole lab']

    for command in itertools.chain(*sections.values()):
        shell.run(command)


def test_backups(shell):
    """A repository is filled, verified, restored and emptied as shown."""
    sections = consoles.read(ROOT / 'doc/source/user/repository.rst')

    for command in itertools.chain(*sections.values()):
        shell.run(command)


def test_verifying(shell):
    """A snapshot is proved, as the page shows."""
    sections = consoles.read(ROOT / 'doc/source/user/verifying.rst')

    for command in itertools.chain(*sections.values()):
        shell.run(command)


def test_readme(shell):
    """What README has to try works; its installation is tested in the lab."""
    commands = consoles.read(ROOT / 'README.rst')['Try it']
    start = next(n for n, c in enumerate(commands) if c.in_background)

    for command in commands[start:]:
        shell.run(command)


def test_output_that_differs_is_found(shell):
    """A page is not right because its commands succeed."""
    told = consoles.Command("printf 'at 2026-11-25T20:00:25Z\\nx\\nend\\n'")

    told.output = 'at 2001-01-01T00:00:00Z\n...\nend\n'
    shell.run(told)
    told.output = 'at 2001-01-01T00:00:00Z\nend\n'
    with pytest.raises(AssertionError):
        shell.run(told)


def test_command_that_fails_is_found(shell):
    """A command may only fail where the page shows its status."""
    with pytest.raises(AssertionError):
        shell.run(consoles.Command('false'))
    shell.run(consoles.Command('(exit 3)', fails=True))
    shell.run(consoles.Command('echo $?', '3\n'))


def test_pasted(shell, tmp_path):
    """README's "Try it" and then the tour, at once and without a pause."""
    begin = time.monotonic()
    Served(tmp_path).start().stop()
    if time.monotonic() - begin > patience.SECONDS / 2:
        pytest.skip('This machine is too busy to start an emulator in time.')
    readme = consoles.read(ROOT / 'README.rst')['Try it']
    start = next(n for n, c in enumerate(readme) if c.in_background)
    tour = consoles.read(ROOT / 'doc/source/user/tour.rst')
    del tour['With libvirt']

    for command in itertools.chain(readme[start:], *tour.values()):
        shell.paste(command)


def test_in_any_order(shell):
    """No page needs, or is disturbed by, what another one has left behind."""
    pages = ('verifying', 'repository', 'trying', 'backups', 'labs', 'tour')

    for page in pages:
        sections = consoles.read(ROOT / f'doc/source/user/{page}.rst')
        for other in ('With libvirt', 'A whole lab'):
            sections.pop(other, None)
        for command in itertools.chain(*sections.values()):
            shell.run(command)
