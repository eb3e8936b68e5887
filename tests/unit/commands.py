# SPDX-License-Identifier: Apache-2.0
"""The ``hawkfish`` command, as tests run it."""

import json
import os
import select
import sys
import time

import pexpect

from hawkfish_plugin.cli import app

PROGRAM = (
    sys.executable,
    '-c',
    'import sys; from hawkfish_plugin.cli import app; sys.exit(app.main())',
)
WIDE = 80


def spawn(emulator, *words, **environment):
    """``hawkfish`` on a terminal."""
    return pexpect.spawn(
        PROGRAM[0],
        [*PROGRAM[1:], '--url', emulator.url, *words],
        env={**os.environ, 'TERM': 'xterm', **environment},
        dimensions=(24, WIDE),
        encoding='utf-8',
        timeout=60,
    )


class Command:
    """``hawkfish`` in this process, for the emulator at *url*."""

    def __init__(self, url, capsys):
        self._url, self._capsys = url, capsys

    def __call__(self, *args):
        """Its status, standard output and standard error."""
        self._capsys.readouterr()
        try:
            status = app.main(('--url', self._url, *args))
        except SystemExit as stop:
            status = stop.code
        return status, *self._capsys.readouterr()

    def data(self, *args):
        """What it prints; it has to succeed, and to warn of nothing."""
        status, out, err = self(*args, '-f', 'json')
        assert (status, err) == (0, '')
        return json.loads(out)


def read_terminal(terminal, until):
    """What *terminal* shows, as far as *until* at least."""
    text, deadline = '', time.monotonic() + 60
    while until not in text:
        assert time.monotonic() < deadline, text
        if select.select([terminal], [], [], 0.1)[0]:
            text += os.read(terminal, 4096).decode()
    return text
