# SPDX-License-Identifier: Apache-2.0
"""The emulator as a process of its own, with its fake driver."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import requests

from tests.unit.conftest import FAKE_UUID
from tests.unit.receiver import unused_port

BIN = pathlib.Path(sys.executable).parent


class Process:
    """
    An emulator whose state is in *folder*; it can be killed and started again.

    With *workers* it is gunicorn with as many processes.
    """

    def __init__(self, folder, workers=0, **environment):
        self.port = unused_port()
        self.url = f'http://127.0.0.1:{self.port}'
        self.snapshots = (
            f'{self.url}/redfish/v1/Systems/{FAKE_UUID}/Oem/HawkFish/Snapshots'
        )
        config = folder / 'emulator.conf'
        config.write_text(
            'SUSHY_EMULATOR_FAKE_DRIVER = True\n'
            f'SUSHY_EMULATOR_STATE_DIR = {str(folder)!r}\n'
        )
        self._environment = {
            **os.environ,
            **environment,
            'SUSHY_EMULATOR_CONFIG': str(config),
            'OS_HAWKFISH__STATE_DIR': str(folder / 'state'),
        }
        self._log = folder / 'log'
        place = f'127.0.0.1:{self.port}'
        self._command = (
            [
                BIN / 'gunicorn',
                '--workers',
                str(workers),
                '--threads',
                '4',
                '--bind',
                place,
                'hawkfish_plugin.wsgi:application',
            ]
            if workers
            else [
                BIN / 'hawkfish-emulator',
                '--fake',
                '--interface',
                '127.0.0.1',
                '--port',
                str(self.port),
            ]
        )
        self._process = None

    def start(self):
        with open(self._log, 'ab') as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                requests.get(f'{self.url}/redfish/v1/EventService', timeout=5)
                return
            except requests.ConnectionError:
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.05)

    def kill(self):
        """Kill it, and all processes that it has started."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
