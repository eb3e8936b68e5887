# SPDX-License-Identifier: Apache-2.0
"""The ``hawkfish`` command and the emulator that it is given."""

import json
import logging
import os

import pexpect
import pytest

from hawkfish_plugin.cli import app
from tests.unit.commands import spawn


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith('HAWKFISH_'):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def quiet_server(monkeypatch):
    """Keep the log of the server, which runs in this process, off stderr."""
    monkeypatch.setattr(logging.getLogger('werkzeug'), 'disabled', True)
    ours = logging.getLogger('hawkfish_plugin')
    monkeypatch.setattr(ours, 'propagate', False)
    monkeypatch.setattr(ours, 'handlers', [logging.NullHandler()])


@pytest.fixture
def run(capsys):
    """Run ``hawkfish`` in this process; return status, stdout, stderr."""

    def run_hawkfish(*args):
        capsys.readouterr()
        try:
            status = app.main(args)
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run_hawkfish


@pytest.fixture
def hawkfish(emulator, run):
    """Run ``hawkfish`` against the emulator."""
    return lambda *args: run('--url', emulator.url, *args)


@pytest.fixture
def data(hawkfish):
    """Run a command that must succeed, and return what it printed."""

    def run_for_data(*args):
        status, out, err = hawkfish(*args, '-f', 'json')
        assert (status, err) == (0, '')
        return json.loads(out)

    return run_for_data


@pytest.fixture
def screen(emulator):
    """Run ``hawkfish`` on a terminal; return its status and its lines."""

    def run(*words, **environment):
        program = spawn(emulator, *words, **environment)
        program.expect(pexpect.EOF)
        program.close()
        return program.exitstatus, program.before.splitlines()

    return run
