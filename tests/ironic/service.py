# SPDX-License-Identifier: Apache-2.0
"""
A real Ironic, and the ``baremetal`` command against it.

One process has API and conductor; SQLite, no Keystone, no message bus and no
images. Owns its folder, its life and death.
"""

import ast
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
from http import server
from typing import Any

import requests

from tests.served import BIN, free_port
from tests.waiting import wait_for

CONFIG = """\
[DEFAULT]
state_path = {folder}/state
auth_strategy = noauth
rpc_transport = none
host = lab
my_ip = 127.0.0.1
enabled_hardware_types = redfish, hawkfish
enabled_bios_interfaces = no-bios
enabled_boot_interfaces = redfish-virtual-media
enabled_console_interfaces = no-console
enabled_deploy_interfaces = ramdisk
enabled_firmware_interfaces = no-firmware
enabled_inspect_interfaces = no-inspect
enabled_management_interfaces = redfish, hawkfish
enabled_network_interfaces = noop
enabled_power_interfaces = redfish
enabled_raid_interfaces = no-raid
enabled_storage_interfaces = noop
enabled_vendor_interfaces = redfish, no-vendor, hawkfish
default_network_interface = noop
minimum_memory_warning_only = true
[api]
host_ip = 127.0.0.1
port = {port}
[conductor]
automated_clean = false
force_power_state_during_sync = false
sync_power_state_interval = 5
[database]
connection = sqlite:///{folder}/ironic.sqlite
[deploy]
http_root = {folder}/http
http_url = {files}
ramdisk_image_download_source = http
[dhcp]
dhcp_provider = none
[hawkfish]
revert_groups = lab, other
[oslo_concurrency]
lock_path = {folder}/state
"""

STEP = 'revert_snapshot'

# What was typed, and the seconds it took.
TIMES: list[tuple[str, float]] = []


class Files(server.SimpleHTTPRequestHandler):
    """Serves the boot image, without a word."""

    def log_message(self, *_: object) -> None:
        pass


class Ironic:
    """Ironic in *folder*; use as a context."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f'http://127.0.0.1:{self._port}'
        self._config = folder / 'ironic.conf'
        self._process: subprocess.Popen[bytes] | None = None
        (folder / 'state').mkdir()
        (folder / 'http').mkdir()
        (folder / 'http/boot.iso').write_bytes(b'\0' * 2**20)
        self._files = server.ThreadingHTTPServer(
            ('127.0.0.1', 0),
            lambda *args: Files(*args, directory=str(folder / 'http')),
        )
        self.boot_iso = f'{self._files_url}/boot.iso'

    @property
    def _files_url(self) -> str:
        return f'http://127.0.0.1:{self._files.server_port}'

    def __enter__(self) -> 'Ironic':
        self._config.write_text(
            CONFIG.format(
                folder=self._folder, port=self._port, files=self._files_url
            )
        )
        option = ('--config-file', str(self._config))
        subprocess.run(
            [BIN / 'ironic-dbsync', *option, 'create_schema'],
            check=True,
            capture_output=True,
        )
        threading.Thread(target=self._files.serve_forever, daemon=True).start()
        with (self._folder / 'log').open('ab') as log:
            self._process = subprocess.Popen(
                [BIN / 'ironic', *option],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            self._wait_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._files.shutdown()
        self._files.server_close()

    def _wait_up(self) -> None:
        wait_for(
            self._is_up, lambda: f'Ironic to come up: {self.log()}', pause=0.2
        )

    def _is_up(self) -> bool:
        assert self._process and self._process.poll() is None, self.log()
        with contextlib.suppress(requests.ConnectionError):
            drivers = requests.get(f'{self.url}/v1/drivers', timeout=60).json()
            return bool(drivers['drivers'])
        return False

    def log(self) -> str:
        return (self._folder / 'log').read_text()[-6000:]

    def baremetal(self, *words: str) -> str:
        """What ``baremetal`` prints; it must succeed."""
        done = self.try_baremetal(*words)
        assert done.returncode == 0, f'{words}: {done.stderr}\n{self.log()}'
        return done.stdout

    def try_baremetal(self, *words: str) -> subprocess.CompletedProcess[str]:
        begin = time.monotonic()
        done = subprocess.run(
            [BIN / 'baremetal', *words],
            env={
                **os.environ,
                'OS_AUTH_TYPE': 'none',
                'OS_ENDPOINT': self.url,
            },
            capture_output=True,
            text=True,
            timeout=180,
        )
        if not done.returncode:
            TIMES.append((_told(words), time.monotonic() - begin))
        return done


def _told(words: tuple[str, ...]) -> str:
    """What was typed, without what differs from node to node."""
    told = [
        word
        for word in words
        if word.isascii() and not re.search(r'node-\d|[{=]|^\d', word)
    ]
    return ' '.join(told)


class Node:
    """A node of Ironic, managed."""

    def __init__(
        self, ironic: Ironic, name: str, driver: str, address: str, uuid: str
    ) -> None:
        self.ironic, self.name = ironic, name
        ironic.baremetal(
            *('node', 'create', '--driver', driver, '--name', name),
            *('--driver-info', f'redfish_address={address}'),
            *(
                '--driver-info',
                f'redfish_system_id=/redfish/v1/Systems/{uuid}',
            ),
        )
        self.act('manage', '--wait', '60')

    def act(self, verb: str, *words: str) -> str:
        """``baremetal node VERB NAME ...``, which must succeed."""
        return self.ironic.baremetal('node', *verb.split(), self.name, *words)

    def try_act(
        self, verb: str, *words: str
    ) -> subprocess.CompletedProcess[str]:
        return self.ironic.try_baremetal(
            'node', *verb.split(), self.name, *words
        )

    @property
    def shown(self) -> dict[str, Any]:
        """The node as Ironic's API has it."""
        found: dict[str, Any] = requests.get(
            f'{self.ironic.url}/v1/nodes/{self.name}',
            headers={'X-OpenStack-Ironic-API-Version': 'latest'},
            timeout=30,
        ).json()
        return found

    def wait(self, field: str, value: object, seconds: float = 60) -> None:
        """Wait until Ironic has *value* in *field*."""
        wait_for(
            lambda: self.shown[field] == value,
            lambda: f'{field} to be {value}: {self.shown}',
            seconds,
            0.2,
        )

    def passthru(self, method: str, **arguments: object) -> str | None:
        """Call *method*, wait for its end, and return the node's error."""
        words = [f'--arg={name}={arg}' for name, arg in arguments.items()]
        self.act('passthru call', method, *words)
        self.wait('reservation', None)
        error: str | None = self.shown['last_error']
        return error

    def listed(self) -> list[str]:
        """The names of the snapshots, as the passthru lists them."""
        told = self.act(
            'passthru call', '--http-method', 'GET', 'list_snapshots'
        )
        # The command prints it as Python.
        return [s['name'] for s in ast.literal_eval(told)['snapshots']]

    def remove(self) -> None:
        with contextlib.suppress(AssertionError):
            self.act('maintenance set')
        self.ironic.try_baremetal('node', 'delete', self.name)


def steps(name: str, step: str = STEP, **arguments: object) -> str:
    """A *step* that reverts to *name*, as ``--clean-steps`` wants it."""
    return json.dumps(
        [
            {
                'interface': 'management',
                'step': step,
                'args': {'name': name, **arguments},
            }
        ]
    )
