# SPDX-License-Identifier: Apache-2.0
"""
The emulator over its fake systems, as a process of its own.

Owns its configuration file, its life and death; what ``tests/functional`` has
for a real hypervisor.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import bcrypt
import requests

BIN = pathlib.Path(sys.executable).parent
ACTIVATE = 'import hawkfish_plugin; hawkfish_plugin.activate()\n'


def entry(user: str, password: str) -> str:
    """A line of the emulator's file of users."""
    digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    return f'{user}:{digest}\n'


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return int(listener.getsockname()[1])


class FakeEmulator:
    """
    An emulator with its state in *folder*.

    *config* is added to its configuration file; *command* and *environment*
    say how it is started, by default by the stock script.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        config: str = ACTIVATE,
        scheme: str = 'http',
    ) -> None:
        self.port = free_port()
        self.url = f'{scheme}://127.0.0.1:{self.port}'
        self.config = folder / 'emulator.conf'
        self.config.write_text(
            f'SUSHY_EMULATOR_STATE_DIR = {str(folder)!r}\n'
            'SUSHY_EMULATOR_FAKE_DRIVER = True\n'
            "SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\n"
            f'SUSHY_EMULATOR_LISTEN_PORT = {self.port}\n{config}'
        )
        self.command = [
            'sushy-emulator',
            '--config',
            str(self.config),
            '--fake',
        ]
        self.environment = {'OS_HAWKFISH__STATE_DIR': str(folder / 'state')}
        self._log = folder / 'log'
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> 'FakeEmulator':
        program, *options = self.command
        with self._log.open('ab') as log:
            self._process = subprocess.Popen(
                [BIN / program, *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **self.environment},
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                requests.get(f'{self.url}/redfish/v1', timeout=5, verify=False)
                return self
            except requests.ConnectionError:
                time.sleep(0.1)
        raise AssertionError(self._log.read_text())

    def stop(self) -> None:
        if self._process:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(20)
