# SPDX-License-Identifier: Apache-2.0
"""The examples of the SDK in the guide: they run, and their types hold."""

import os
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest

from tests.served import Served

ROOT = pathlib.Path(__file__).parents[2]
PAGES = ('python', 'backups', 'repository', 'verifying')
URL = 'http://127.0.0.1:8000'
EXAMPLES = [
    textwrap.dedent(block)
    for page in PAGES
    for block in re.findall(
        r'code-block:: python\n\n((?: {3}.*\n|\n)+)',
        (ROOT / f'doc/source/user/{page}.rst').read_text(),
    )
]
# What a type checker has to find, one mistake a line.
MISTAKES = """\
clean.title
clean.update(Locked=False)
clean.update(expires_time=7)
snapshots.create('a', lock=True)
snapshots.create(5)
snapshots['a'].created_time.endswith('Z')
service.policy('a').max_age + 1
service.policy('a').update(max_age='7d')
service.policy('a').preview(Name='a')
service.subscribe('http://127.0.0.1/', Context='a')
clean.revert('On').wait(60).name
service.systems()[0].snapshotcount
service.backups('a').create().wait().name
service.task('1').verb
errors.SnapshotBlocked
errors.SnapshotLocked.advice
"""
BEGIN = """\
from hawkfish_plugin.client import HawkFish, errors

service = HawkFish('http://127.0.0.1:8000')
snapshots = service.snapshots('fake')
clean = snapshots.create('clean').wait()
"""


@pytest.fixture
def emulator(tmp_path):
    served = Served(tmp_path, OS_BACKUP__REPOSITORY='store')
    served.command[0] = 'hawkfish-emulator'
    yield served.start()
    served.stop()


def strict(folder: pathlib.Path) -> str:
    """What ``mypy --strict`` has to say of the files in *folder*."""
    names = sorted(path.name for path in folder.glob('*.py'))
    done = subprocess.run(
        [
            *(sys.executable, '-m', 'mypy', '--strict', '--config-file='),
            *('--follow-imports=silent', '--no-error-summary'),
            *('--cache-dir', str(folder / 'cache'), *names),
        ],
        cwd=folder,
        env={**os.environ, 'MYPYPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize('example', EXAMPLES)
def test_an_example_works_as_it_stands(emulator, tmp_path, example):
    """Each is run by itself, against an emulator that was just started."""
    done = subprocess.run(
        [sys.executable, '-c', example.replace(URL, emulator.url)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout


def test_the_types_of_the_examples_hold(tmp_path):
    """mypy --strict has nothing to say, and finds every mistake."""
    for number, example in enumerate(EXAMPLES):
        (tmp_path / f'example_{number}.py').write_text(example)
    (tmp_path / 'mistakes.py').write_text(BEGIN + MISTAKES)

    found = strict(tmp_path)

    first = BEGIN.count('\n') + 1
    lines = re.findall(r'^mistakes\.py:(\d+): error: ', found, re.M)
    wanted = range(first, first + MISTAKES.count('\n'))
    assert sorted(set(map(int, lines))) == list(wanted), found
    assert [
        line
        for line in found.splitlines()
        if not line.startswith('mistakes.py:')
    ] == []


def test_the_first_example_is_short():
    """A snapshot's whole life takes ten lines at most."""
    first = EXAMPLES[0]

    assert len([line for line in first.splitlines() if line]) <= 10
    for call in ('create', 'revert', 'delete'):
        assert f'.{call}(' in first


def test_nothing_is_imported_before_it_is_used():
    """Importing the SDK loads neither sushy nor requests."""
    code = (
        'import sys; from hawkfish_plugin import client; '
        'sys.exit(bool({"sushy", "requests"} & sys.modules.keys()))'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
