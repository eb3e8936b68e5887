# SPDX-License-Identifier: Apache-2.0
"""The worked example of the documentation, as a developer would follow it."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CHANGE = ROOT / 'doc/source/contributor/adding-an-operation.patch'
MOST_FILES = 9
# What holds every operation, and the tests of this one.
TESTS = (
    'tests/unit/test_report.py',
    'tests/unit/test_layers.py',
    'tests/unit/test_schemas.py',
    'tests/unit/test_registry.py',
    'tests/release/test_docs.py',
)


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    """The project with the change of the example."""
    folder = tmp_path_factory.mktemp('example') / 'tree'
    ignored = shutil.ignore_patterns('.*', '__pycache__', 'build', '*.egg*')
    shutil.copytree(ROOT, folder, ignore=ignored)
    author = ['-c', 'user.name=developer', '-c', 'user.email=developer@host']
    # The documentation is built from a repository.
    for command in (
        ['init', '-q'],
        ['add', '--all'],
        [*author, 'commit', '-qm', 'Before'],
        ['apply', CHANGE],
    ):
        subprocess.run(['git', *command], cwd=folder, check=True)
    return folder


def run(tree, *arguments):
    done = subprocess.run(
        [sys.executable, '-m', *arguments],
        cwd=tree,
        env={**os.environ, 'PYTHONPATH': str(tree)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


def test_the_change_is_small():
    """An operation is added in a few files."""
    files = re.findall(r'^diff --git a/(\S+)', CHANGE.read_text(), re.M)

    assert 0 < len(files) <= MOST_FILES


def test_the_types_of_the_example_fit(tree):
    """The type checker has nothing to say."""
    run(tree, 'mypy')


def test_the_schema_of_the_example_is_the_generated_one(tree):
    """It is what the generator makes of the CSDL."""
    path = 'hawkfish_plugin/data/json-schemas/HawkFishSnapshotCollection.json'
    given = (tree / path).read_text()

    subprocess.run([sys.executable, 'tools/genschemas'], cwd=tree, check=True)

    assert (tree / path).read_text() == given


def test_the_example_works(tree):
    """Its tests pass, and those that hold every operation."""
    run(tree, 'pytest', '-q', '-p', 'no:cacheprovider', *TESTS)
