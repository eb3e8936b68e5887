# SPDX-License-Identifier: Apache-2.0
"""
The real emulator with the plugin and its fake driver, over real HTTP.

It serves from a thread of the test process, so a test can make the fake
driver slow or let it fail; nothing is mocked.
"""

import contextlib
import dataclasses
import os
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from werkzeug import serving

FAKE_UUID = '27946b59-9e44-4fa7-8e91-f3527a1ef094'


@dataclasses.dataclass
class Emulator:
    """A served emulator: where it is, what it serves, its fake driver."""

    url: str
    app: Any
    system: str = FAKE_UUID
    system_name: str = 'fake'

    @property
    def driver(self) -> Any:
        return self.app.extensions['hawkfish'].driver

    @property
    def snapshots_url(self) -> str:
        return (
            f'{self.url}/redfish/v1/Systems/{self.system}'
            '/Oem/HawkFish/Snapshots'
        )

    def create(self, **body: object) -> requests.Response:
        return requests.post(self.snapshots_url, json=body, timeout=10)

    def wait(self, response: requests.Response) -> requests.Response:
        """What the monitor says at the end of an accepted operation."""
        assert response.status_code == 202, response.text
        return self.watch(response.headers['Location'])

    def watch(self, monitor: str, seconds: float = 20) -> requests.Response:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            response = requests.get(self.url + monitor, timeout=10)
            if response.status_code != 202:
                return response
            time.sleep(0.02)
        raise AssertionError(f'{monitor} did not end: {response.text}')

    @contextlib.contextmanager
    def full_queue(self, name: str) -> Iterator[requests.Response]:
        """
        A revert to *name* runs for a second, and nothing may wait behind it.

        Gives the answer to the request of that revert.
        """
        self.driver.seconds = 1.0
        busy = requests.post(
            f'{self.snapshots_url}/{name}/Actions/HawkFishSnapshot.Revert',
            timeout=10,
        )
        self.wait_running(busy)
        conf = self.app.extensions['hawkfish'].conf
        conf.set_override('queue_limit', 1, 'tasks')
        try:
            yield busy
        finally:
            conf.clear_override('queue_limit', 'tasks')

    def wait_running(
        self, response: requests.Response, seconds: float = 20
    ) -> None:
        """Wait until the task of an accepted operation has begun."""
        task, deadline = response.headers['Location'], time.monotonic()
        while (
            requests.get(self.url + task, timeout=10).json()['TaskState']
            != 'Running'
        ):
            assert time.monotonic() < deadline + seconds, f'{task} waits'
            time.sleep(0.01)

    def created(self, **body: object) -> dict[str, Any]:
        """The snapshot that a successful create has made."""
        response = self.wait(self.create(**body))
        assert response.status_code == 201, response.text
        return response.json()


@pytest.fixture(scope='session')
def served_app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp('emulator')
    os.environ['OS_HAWKFISH__STATE_DIR'] = str(folder / 'hawkfish')
    from sushy_tools.emulator import main

    from hawkfish_plugin import plugin

    main.app.config['SUSHY_EMULATOR_FAKE_DRIVER'] = True
    main.app.config['SUSHY_EMULATOR_STATE_DIR'] = str(folder)
    plugin.setup(main.app)
    server = serving.make_server('127.0.0.1', 0, main.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield main.app, f'http://127.0.0.1:{server.port}'
    server.shutdown()


@pytest.fixture
def emulator(served_app: tuple[Any, str]) -> Any:
    """The emulator, with no snapshots and a quick, healthy fake driver."""
    app, url = served_app
    found = Emulator(url, app)
    _wait_idle(app)
    found.driver.seconds, found.driver.failures = 0.0, {}
    found.driver.cloned, found.driver.depth = {}, None
    found.driver._trees.clear()
    yield found
    found.driver.seconds, found.driver.failures = 0.0, {}
    found.driver.cloned, found.driver.depth = {}, None
    app.config.pop('SUSHY_EMULATOR_ALLOWED_INSTANCES', None)


def _wait_idle(app: Any) -> None:
    tasks = app.extensions['hawkfish'].tasks
    deadline = time.monotonic() + 20
    while any(task.active for task in tasks.list()):
        assert time.monotonic() < deadline, 'a task of another test goes on'
        time.sleep(0.02)


@pytest.fixture
def unique() -> str:
    return uuid.uuid4().hex[:8]
