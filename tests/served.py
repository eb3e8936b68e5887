# SPDX-License-Identifier: Apache-2.0
"""
An emulator as a process of its own, and what clients do to it.

Owns its configuration file, its ways in, its life and its death.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
from typing import Any, Self

import requests

from tests.waiting import patience, wait_for

BIN = pathlib.Path(sys.executable).parent
ACTIVATE = 'import hawkfish_plugin; hawkfish_plugin.activate()\n'
FAKE_UUID = '27946b59-9e44-4fa7-8e91-f3527a1ef094'
OWN_WSGI = 'hawkfish_plugin.wsgi:application'
STOCK_WSGI = 'sushy_tools.emulator.main:app'

_ANSWER_SECONDS = 60.0


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return int(listener.getsockname()[1])


def is_open(port: int) -> bool:
    """Whether somebody listens at *port*."""
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', port)) == 0


def user_entry(user: str, password: str, cost: int = 4) -> str:
    """A line of the emulator's file of users; *cost* is that of bcrypt."""
    import bcrypt

    digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()
    return f'{user}:{digest}\n'


def fake_system(uuid: str, name: str) -> dict[str, Any]:
    """A system of the emulator's fake driver, as its configuration has it."""
    return {
        'uuid': uuid,
        'name': name,
        'power_state': 'Off',
        'external_notifier': False,
        'nics': [],
    }


def message_ids(response: requests.Response) -> list[str]:
    """The keys of the messages of an error, or of a plain success."""
    info = response.json()['error']['@Message.ExtendedInfo']
    return [entry['MessageId'].rpartition('.')[2] for entry in info]


class Monitors:
    """The tasks of the emulator at *url*, as a client follows them."""

    url: str

    def wait_ended(self) -> None:
        """Wait until no task waits or runs."""
        wait_for(
            lambda: all('EndTime' in task for task in self.tasks()),
            lambda: f'the end of {self.tasks()}',
        )

    def wait(
        self, accepted: requests.Response, seconds: float = 90
    ) -> requests.Response:
        """What the task monitor says at the end."""
        assert accepted.status_code == 202, accepted.text
        return self.watch(accepted.headers['Location'], seconds)

    def watch(self, monitor: str, seconds: float = 90) -> requests.Response:
        answer = requests.Response()

        def ended() -> bool:
            nonlocal answer
            answer = requests.get(self.url + monitor, timeout=_ANSWER_SECONDS)
            return answer.status_code != 202

        wait_for(
            ended,
            lambda: f'the end of {monitor}: {answer.text}',
            seconds,
            0.05,
        )
        return answer

    def cancel(self, accepted: requests.Response) -> None:
        """Cancel an accepted operation, and wait for its end."""
        monitor = accepted.headers['Location']
        requests.delete(self.url + monitor, timeout=_ANSWER_SECONDS)
        self.watch(monitor)

    def tasks(self) -> list[dict[str, Any]]:
        response = requests.get(
            f'{self.url}/redfish/v1/TaskService/Tasks?$expand=.',
            timeout=_ANSWER_SECONDS,
        )
        members: list[dict[str, Any]] = response.json()['Members']
        return members


class Client(Monitors):
    """What is asked of the emulator at *url*."""

    def system(self, uuid: str) -> str:
        return f'{self.url}/redfish/v1/Systems/{uuid}'

    def collection(self, uuid: str) -> str:
        """Where the snapshots of a system are."""
        return f'{self.system(uuid)}/Oem/HawkFish/Snapshots'

    def snapshots(self, uuid: str) -> list[dict[str, Any]]:
        """The snapshots of a system, whole."""
        response = requests.get(
            f'{self.collection(uuid)}?$expand=.', timeout=_ANSWER_SECONDS
        )
        assert response.status_code == 200, response.text
        members: list[dict[str, Any]] = response.json()['Members']
        return members

    def snapshot(self, uuid: str, name: str) -> dict[str, Any]:
        return next(s for s in self.snapshots(uuid) if s['Name'] == name)

    def post_create(self, uuid: str, **body: object) -> requests.Response:
        return requests.post(
            self.collection(uuid), json=body, timeout=_ANSWER_SECONDS
        )

    def post_revert(
        self, uuid: str, name: str, **body: object
    ) -> requests.Response:
        action = self.snapshot(uuid, name)['Actions']
        target = action['#HawkFishSnapshot.Revert']['target']
        return requests.post(
            self.url + target, json=body, timeout=_ANSWER_SECONDS
        )

    def send_delete(self, uuid: str, name: str) -> requests.Response:
        uri = self.snapshot(uuid, name)['@odata.id']
        return requests.delete(self.url + uri, timeout=_ANSWER_SECONDS)

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


class Served(Client):
    """
    An emulator with its state in *folder*; it can die and be started again.

    It serves the domains of *uri*, or without one the fake system.  *config*
    is added to its configuration file, which begins with *preamble*;
    *environment* is added to its environment.  *command* is how it is
    started, by default by the stock script with --config.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        uri: str = '',
        config: str = '',
        preamble: str = ACTIVATE,
        scheme: str = 'http',
        **environment: str,
    ) -> None:
        self.folder, self.uri = folder, uri
        self.port = free_port()
        self.url = f'{scheme}://127.0.0.1:{self.port}'
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {
            **os.environ,
            'OS_HAWKFISH__STATE_DIR': str(folder / 'state'),
            **environment,
        }
        self.config = folder / 'emulator.conf'
        self.config.write_text(
            preamble
            + f'SUSHY_EMULATOR_STATE_DIR = {str(folder)!r}\n'
            + (
                f'SUSHY_EMULATOR_LIBVIRT_URI = {uri!r}\n'
                if uri
                else 'SUSHY_EMULATOR_FAKE_DRIVER = True\n'
            )
            + config
        )
        self.command = [
            'sushy-emulator',
            '--config',
            str(self.config),
            *self.options(),
        ]

    def options(self) -> list[str]:
        """The options of the emulator's script, without --config."""
        return [
            *(['--libvirt-uri', self.uri] if self.uri else ['--fake']),
            '--port',
            str(self.port),
            '--interface',
            '127.0.0.1',
        ]

    def name_config(self) -> None:
        """Let the environment name the configuration file."""
        self.environment['SUSHY_EMULATOR_CONFIG'] = str(self.config)

    def use_gunicorn(self, application: str, *options: str) -> Self:
        """Serve *application* with several processes."""
        self.name_config()
        self.command = [
            *('gunicorn', *options),
            *('--bind', f'127.0.0.1:{self.port}', application),
        ]
        return self

    def start(self, *options: str) -> Self:
        with (self.folder / 'log').open('ab') as log:
            self.process = subprocess.Popen(
                [str(BIN / self.command[0]), *self.command[1:], *options],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        wait_for(
            self._is_up,
            lambda: f'the emulator to come up: {self.log()}',
            pause=0.005,
        )
        return self

    @property
    def is_running(self) -> bool:
        """Whether the process is there, as far as it has not been killed."""
        return bool(self.process and self.process.poll() is None)

    def _is_up(self) -> bool:
        assert self.process and self.process.poll() is None, self.log()
        with contextlib.suppress(requests.ConnectionError):
            requests.get(
                f'{self.url}/redfish/v1/',
                timeout=patience(_ANSWER_SECONDS),
                verify=False,
            )
            return True
        return False

    def log(self) -> str:
        return (self.folder / 'log').read_text()[-4000:]

    def restart(self, *options: str) -> None:
        """Be stopped, and started with *options* more than its own."""
        self.stop()
        self.start(*options)

    def wait_dead(self) -> None:
        """Wait until it has been killed by itself."""
        assert self.process
        assert self.process.wait(patience()) == -signal.SIGKILL, self.log()

    def stop(self) -> None:
        """End it and whatever it started, at once."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
