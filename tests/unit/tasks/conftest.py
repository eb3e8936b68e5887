# SPDX-License-Identifier: Apache-2.0
"""A task table with operations that wait to be told."""

import os
import signal
import subprocess
import sys

import pytest

from tests.unit.tasks.tables import OWNER, Work, open_table, submit


@pytest.fixture(autouse=True)
def configured(monkeypatch):
    for name in list(os.environ):
        if name.startswith(('OS_', 'HAWKFISH_')):
            monkeypatch.delenv(name)
    return monkeypatch.setenv


@pytest.fixture
def work():
    work = Work()
    yield work
    work.go.set()


@pytest.fixture
def table(tmp_path):
    """A task table whose workers are not started."""
    return open_table(tmp_path)


@pytest.fixture
def started(table, work):
    table.start(work.operations())
    return table


@pytest.fixture
def killed(tmp_path, table):
    """A state whose owner was killed over the task that is returned."""
    task = submit(table, 'half')
    process = subprocess.Popen(
        [sys.executable, '-c', OWNER, str(tmp_path)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b'half\n'
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    return task
