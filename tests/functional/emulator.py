# SPDX-License-Identifier: Apache-2.0
"""
The stock emulator as a process of its own, and what clients do to it.

Owns its configuration file, its life and death.  A test can let it be killed
at a step of an operation: the emulator's configuration file is Python, and
ours wraps the journal of the tasks in it.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import requests

BIN = pathlib.Path(sys.executable).parent

ACTIVATE = 'import hawkfish_plugin; hawkfish_plugin.activate()\n'

# The file named here says what to do, and at which step of which operation:
# "before", "after" or "during=SECONDS" to die, "sleep=SECONDS" to wait,
# "kill=SECONDS" to kill the process that a fourth word names, a bit later.
OBEY = '''
import os as _os, threading as _threading, time as _time
from hawkfish_plugin import tasks as _tasks

def _obey(order, _step=_tasks.Job.step):
    def step(self, name, durable=True, **facts):
        try:
            words = open(order).read().split()
        except FileNotFoundError:
            words = [None, None, None]
        when, operation, where = words[:3]
        here = (operation, where) == (self.task.operation, name)
        if here:
            _os.unlink(order)
        if here and when == 'before':
            _os.kill(_os.getpid(), 9)
        _step(self, name, durable, **facts)
        if here and when == 'after':
            _os.kill(_os.getpid(), 9)
        if here and '=' in when:
            seconds = float(when.partition('=')[2])
        if here and when.startswith('sleep'):
            _time.sleep(seconds)
        if here and when.startswith(('during', 'kill')):
            victim = int(words[3]) if words[3:] else _os.getpid()
            def kill():
                _time.sleep(seconds)
                _os.kill(victim, 9)
            _threading.Thread(target=kill).start()
    _tasks.Job.step = step

_obey({order!r})
'''


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return int(listener.getsockname()[1])


class Emulator:
    """A ``sushy-emulator`` process over *uri*, with the plugin."""

    def __init__(
        self,
        folder: pathlib.Path,
        uri: str,
        config: str = '',
        **environment: str,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        self.uri = uri
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {
            **os.environ,
            'OS_HAWKFISH__STATE_DIR': str(folder / 'state'),
            **environment,
        }
        self._order = folder / 'order'
        self.config = folder / 'emulator.conf'
        self.config.write_text(
            ACTIVATE
            + OBEY.replace('{order!r}', repr(str(self._order)))
            + f'SUSHY_EMULATOR_STATE_DIR = {str(folder)!r}\n'
            + f'SUSHY_EMULATOR_LIBVIRT_URI = {uri!r}\n'
            + config
        )

        # Where the configuration does not come by the environment.
        self.command = [
            'sushy-emulator',
            '--config',
            str(self.config),
            *self.options(),
        ]

    def options(self) -> list[str]:
        """The options of the emulator's script, without --config."""
        return [
            '--libvirt-uri',
            self.uri,
            '--port',
            str(self.port),
            '--interface',
            '127.0.0.1',
        ]

    def start(self) -> None:
        with (self.folder / 'log').open('ab') as log:
            self.process = subprocess.Popen(
                [str(BIN / self.command[0]), *self.command[1:]],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.wait_up()

    def wait_up(self, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process and self.process.poll() is None, self.log()
            with contextlib.suppress(requests.ConnectionError):
                requests.get(f'{self.url}/redfish/v1/', timeout=5)
                return
            time.sleep(0.005)
        raise AssertionError(f'the emulator is not up: {self.log()}')

    def log(self) -> str:
        return (self.folder / 'log').read_text()[-4000:]

    def order(
        self, when: str, operation: str, step: str, victim: int | str = ''
    ) -> None:
        """Let the process kill itself, or wait, when it is at a step."""
        unfinished = self._order.with_suffix('.unfinished')
        unfinished.write_text(f'{when} {operation} {step} {victim}')
        unfinished.rename(self._order)

    def wait_dead(self, seconds: float = 60) -> None:
        assert self.process
        assert self.process.wait(seconds) == -signal.SIGKILL, self.log()

    def stop(self) -> None:
        """End it and whatever it started, at once."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    # What clients do ------------------------------------------------------

    def system(self, uuid: str) -> str:
        return f'{self.url}/redfish/v1/Systems/{uuid}'

    def snapshots(self, uuid: str) -> list[dict[str, Any]]:
        """The snapshots of a system, whole."""
        response = requests.get(
            f'{self.system(uuid)}/Oem/HawkFish/Snapshots?$expand=.',
            timeout=30,
        )
        assert response.status_code == 200, response.text
        members: list[dict[str, Any]] = response.json()['Members']
        return members

    def snapshot(self, uuid: str, name: str) -> dict[str, Any]:
        return next(s for s in self.snapshots(uuid) if s['Name'] == name)

    def post_create(self, uuid: str, **body: object) -> requests.Response:
        return requests.post(
            f'{self.system(uuid)}/Oem/HawkFish/Snapshots',
            json=body,
            timeout=30,
        )

    def post_revert(
        self, uuid: str, name: str, **body: object
    ) -> requests.Response:
        action = self.snapshot(uuid, name)['Actions']
        target = action['#HawkFishSnapshot.Revert']['target']
        return requests.post(self.url + target, json=body, timeout=30)

    def send_delete(self, uuid: str, name: str) -> requests.Response:
        uri = self.snapshot(uuid, name)['@odata.id']
        return requests.delete(self.url + uri, timeout=30)

    def create(self, uuid: str, **body: object) -> dict[str, Any]:
        """Create and wait; returns the snapshot."""
        response = self.wait(self.post_create(uuid, **body))
        assert response.status_code == 201, response.text
        snapshot: dict[str, Any] = response.json()
        assert snapshot['SnapshotState'] == 'Ready'
        return snapshot

    def revert(self, uuid: str, name: str, **body: object) -> None:
        response = self.wait(self.post_revert(uuid, name, **body))
        assert response.status_code == 200, response.text

    def delete(self, uuid: str, name: str) -> None:
        response = self.wait(self.send_delete(uuid, name))
        assert response.status_code == 204, response.text

    def wait(
        self, accepted: requests.Response, seconds: float = 90
    ) -> requests.Response:
        """What the task monitor says at the end."""
        assert accepted.status_code == 202, accepted.text
        return self.watch(accepted.headers['Location'], seconds)

    def watch(self, monitor: str, seconds: float = 90) -> requests.Response:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            response = requests.get(self.url + monitor, timeout=30)
            if response.status_code != 202:
                return response
            time.sleep(0.1)
        raise AssertionError(f'{monitor} did not end: {response.text}')

    def tasks(self) -> list[dict[str, Any]]:
        response = requests.get(
            f'{self.url}/redfish/v1/TaskService/Tasks?$expand=.', timeout=30
        )
        members: list[dict[str, Any]] = response.json()['Members']
        return members


def told(response: requests.Response) -> list[str]:
    """The keys of the messages of an error."""
    info = response.json()['error']['@Message.ExtendedInfo']
    return [entry['MessageId'].rpartition('.')[2] for entry in info]


def last_messages(emulator: Emulator) -> list[str]:
    """The keys of the messages of the newest task."""
    return [
        message['MessageId'].rpartition('.')[2]
        for message in emulator.tasks()[-1]['Messages']
    ]
