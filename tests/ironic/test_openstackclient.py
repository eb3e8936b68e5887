# SPDX-License-Identifier: Apache-2.0
"""The commands as a part of ``openstack``, by the real client."""

import os
import subprocess

import pytest

from tests.served import BIN

pytest.importorskip('openstackclient', reason='see tox -e ironic')


@pytest.fixture
def run(backend, tmp_path):
    """Run a program of this environment, knowing the emulator's URL."""
    keep = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(('HAWKFISH_', 'OS_'))
    }

    def run_program(*words, url=backend.emulator.url):
        return subprocess.run(
            [BIN / words[0], *words[1:]],
            env={**keep, 'HAWKFISH_URL': url, 'HOME': str(tmp_path)},
            capture_output=True,
            text=True,
        )

    return run_program


@pytest.mark.parametrize('form', ['json', 'table', 'csv'])
def test_both_programs_print_the_same(run, backend, form):
    """A listing is the same, whichever program is asked for it."""
    backend.emulator.create(backend.uuid, Name='a')
    listing = ('snapshot', 'list', backend.name, '-f', form)

    ours = run('hawkfish', *listing)
    theirs = run('openstack', 'hawkfish', *listing)

    assert 'a' in ours.stdout
    assert (theirs.stdout, theirs.returncode) == (ours.stdout, 0)


def test_every_command_is_there(run):
    """What ``hawkfish`` can do, ``openstack hawkfish`` can."""
    ours = run('hawkfish', '--help').stdout.partition('Commands:')[2]
    theirs = run('openstack', '--help').stdout
    names = [
        line[2:].partition('  ')[0].strip()
        for line in ours.splitlines()
        if line[2:].strip()
    ]
    assert {'snaps-ls', 'snapshot create', 'task wait'} <= set(names)

    missing = [
        name
        for name in names
        if name not in ('complete', 'help')
        and f'hawkfish {name}' not in theirs
    ]
    assert not missing


def test_life_of_a_snapshot(run, backend):
    """Create, revert and delete, waiting for each, without Keystone."""
    for words in (
        ('snapshot', 'create', backend.name, '--name', 'a', '--wait'),
        ('snapshot', 'revert', backend.name, 'a', '--wait', '60'),
        ('snaps-rm', backend.name, 'a'),
    ):
        done = run('openstack', 'hawkfish', *words)
        assert done.returncode == 0, done.stderr
    assert backend.emulator.snapshots(backend.uuid) == []


def test_option_instead_of_the_environment(run, backend):
    """``--hawkfish-url`` says where the emulator is."""
    done = run(
        *('openstack', '--hawkfish-url', backend.emulator.url),
        *('hawkfish', 'snapshot', 'list', backend.name),
        url='http://127.0.0.1:1',
    )

    assert done.returncode == 0


def test_errors_are_told_in_full(run, backend):
    """An error has the service's words, and the status 1."""
    done = run('openstack', 'hawkfish', 'snapshot', 'show', backend.name, 'b')
    away = run(
        *('openstack', 'hawkfish', 'task', 'list'), url='http://127.0.0.1:1'
    )

    assert (done.returncode, away.returncode) == (1, 1)
    assert "Snapshots/b' was not found" in done.stderr
    assert 'Cannot reach the emulator at http://127.0.0.1:1' in away.stderr
