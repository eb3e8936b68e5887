# SPDX-License-Identifier: Apache-2.0
"""
The real emulator with the plugin and its fake driver, over real HTTP.

It serves from a thread of the test process, so a test can make the fake
driver slow or let it fail; nothing is mocked.
"""

import contextlib
import dataclasses
import functools
import os
import pathlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import requests
from werkzeug import serving

from hawkfish_plugin import db, exports, notes, services
from hawkfish_plugin.client import patience
from hawkfish_plugin.drivers.behaviour import Behaviour
from hawkfish_plugin.exports import Owner
from hawkfish_plugin.tasks.ending import IS_TO_FOLLOW
from hawkfish_plugin.tasks.task import Task
from tests.served import FAKE_UUID, Monitors, fake_system
from tests.waiting import wait_for

# What is slow on a machine that is busy with something else is no fault.
hypothesis.settings.register_profile(
    'busy',
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile('busy')

# What groups are made of, by name.
NODES = {
    f'node-{number}': f'00000000-0000-4000-8000-{number:012}'
    for number in range(8)
}

# Longer than any test: an operation that is this slow ends when it may.
_SLOW_SECONDS = 600.0


@dataclasses.dataclass
class Emulator(Monitors):
    """A served emulator: where it is, what it serves, its fake driver."""

    url: str
    app: Any
    state: pathlib.Path
    system: str = FAKE_UUID
    system_name: str = 'fake'

    @property
    def services(self) -> services.Services:
        return services.of(self.app)

    @property
    def driver(self) -> Any:
        return self.services.driver

    @property
    def behaviour(self) -> Behaviour:
        """How the operations of the fake driver go."""
        return self.driver.behaviour

    @property
    def folder(self) -> pathlib.Path:
        """Where the state of the fake hypervisor is."""
        (folder,) = self.state.glob('fake-*')
        return folder

    @functools.cached_property
    def database(self) -> db.Database:
        """The state, as another process has it."""
        return db.Database(self.folder)

    @property
    def notes(self) -> notes.Notes:
        return notes.Notes(self.database)

    @property
    def snapshots_url(self) -> str:
        return (
            f'{self.url}/redfish/v1/Systems/{self.system}'
            '/Oem/HawkFish/Snapshots'
        )

    def create(self, **body: object) -> requests.Response:
        return requests.post(self.snapshots_url, json=body, timeout=60)

    def created(self, **body: object) -> dict[str, Any]:
        """The snapshot that a successful create has made."""
        response = self.wait(self.create(**body))
        assert response.status_code == 201, response.text
        return response.json()

    @contextlib.contextmanager
    def slow(self) -> Iterator[None]:
        """Operations do not end before the block does."""
        self.behaviour.seconds = _SLOW_SECONDS
        try:
            yield
        finally:
            self.behaviour.seconds = 0.0

    @contextlib.contextmanager
    def full_queue(self, name: str) -> Iterator[requests.Response]:
        """
        A revert to *name* runs, and nothing may wait behind it.

        Gives the answer to the request of that revert.
        """
        with self.slow():
            busy = requests.post(
                f'{self.snapshots_url}/{name}/Actions/HawkFishSnapshot.Revert',
                timeout=60,
            )
            self.wait_running(busy)
            self.services.conf.set_override('queue_limit', 1, 'tasks')
            try:
                yield busy
            finally:
                self.services.conf.clear_override('queue_limit', 'tasks')

    def task(self, accepted: requests.Response) -> Task:
        """The task of an accepted operation."""
        number = accepted.headers['Location'].rpartition('/')[2]
        return self.services.tasks.get(int(number))

    def tasks_after(self, before: int) -> list[Task]:
        """
        The tasks with a higher number than *before*, oldest first.

        How many tasks there are tells nothing: old ones are removed.
        """
        return [t for t in self.services.tasks.list() if t.id > before]

    @property
    def newest_task(self) -> int:
        """The number of the task that was accepted last, or 0."""
        return max((t.id for t in self.services.tasks.list()), default=0)

    def wait_running(self, accepted: requests.Response) -> None:
        """Wait until an accepted operation has begun to change something."""
        wait_for(
            lambda: self.task(accepted).step not in ('', 'prepare'),
            lambda: f'the beginning of {self.task(accepted)}',
        )

    def wait_second(self) -> None:
        """Wait for the next second: the times of snapshots have no parts."""
        now = int(time.time())
        wait_for(lambda: int(time.time()) > now, 'the next second')

    def wait_idle(self) -> None:
        """Wait until no task waits, runs, or has another one to follow it."""
        wait_for(
            lambda: not self._unfinished(),
            lambda: f'the end of {self._unfinished()}',
        )

    def _unfinished(self) -> list[tuple[int, str]]:
        # At one moment, and nothing of those that have ended.
        return [
            (row['id'], row['operation'])
            for row in self.database.query(
                'SELECT id, operation FROM tasks WHERE ended IS NULL '
                f'OR {IS_TO_FOLLOW}'
            )
        ]

    def clear(self) -> None:
        """Let there be no snapshot, no export, and no system that is on."""
        if exports.Exports(self.database).ids():
            self._delete_exports()
        for system in self.driver.systems():
            # The next one may have the same name, and the same second.
            for name in self.driver.names(system.uuid):
                self.notes.forget(system.uuid, name)
        self.driver.clear()
        self._power_off()

    def _delete_exports(self) -> None:
        for system in self.driver.power_states():
            for export in self.services.exports.list(Owner(system.uuid)):
                self.services.exports.delete(export)

    def _power_off(self) -> None:
        # A reset takes seconds, and may be in the middle.
        off = {'power_state': 'Off', 'pending_power': None}
        kept = self.app.systems._systems
        # To read them one by one takes as long as many a test.
        with kept.connection() as cursor:
            rows = cursor.execute('SELECT value FROM cache').fetchall()
        for found in (kept.decode(value) for (value,) in rows):
            if not off.items() <= found.items():
                self.app.systems._update(found['uuid'], **off)


@pytest.fixture(autouse=True)
def no_patience_with_a_start(monkeypatch):
    """What refuses connections in a test is not being started."""
    monkeypatch.setattr(patience, 'LOCAL_SECONDS', patience.SECONDS)


@pytest.fixture(scope='session')
def served_app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp('emulator')
    os.environ['OS_HAWKFISH__STATE_DIR'] = str(folder / 'hawkfish')
    # No proxy leads here. And requests would look for one in the whole
    # environment, which takes it longer than to ask.
    os.environ['no_proxy'] = '127.0.0.1'
    from sushy_tools.emulator import main

    from hawkfish_plugin import plugin

    main.app.config['SUSHY_EMULATOR_FAKE_DRIVER'] = True
    main.app.config['SUSHY_EMULATOR_FAKE_SYSTEMS'] = [
        fake_system(FAKE_UUID, 'fake'),
        *(fake_system(uuid, name) for name, uuid in NODES.items()),
    ]
    main.app.config['SUSHY_EMULATOR_STATE_DIR'] = str(folder)
    with pytest.MonkeyPatch.context() as patch:
        # What a thousand tests leave would make the last of them slow.
        patch.setenv('OS_TASKS__KEEP_COMPLETED', '50')
        patch.setenv('OS_EVENTS__KEEP', '150')
        plugin.setup(main.app)
    server = serving.make_server('127.0.0.1', 0, main.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Emulator(
        f'http://127.0.0.1:{server.port}', main.app, folder / 'hawkfish'
    )
    server.shutdown()


@pytest.fixture
def emulator(served_app: Emulator) -> Any:
    """The emulator, with no snapshots and a quick, healthy fake driver."""
    served_app.services.start()
    served_app.wait_idle()
    served_app.driver.behaviour = Behaviour()
    served_app.clear()
    yield served_app
    served_app.behaviour.seconds = 0.0
    served_app.driver.behaviour = Behaviour()
    served_app.app.config.pop('SUSHY_EMULATOR_ALLOWED_INSTANCES', None)
    for group in served_app.services.group_table.all():
        served_app.services.group_table.delete(group.name)


@pytest.fixture
def policy(emulator):
    """Where the policy is; it is the configuration's again afterwards."""
    uri = emulator.snapshots_url.replace('Snapshots', 'SnapshotPolicy')
    yield uri
    requests.patch(
        uri,
        json=dict.fromkeys(
            ('MaxSnapshots', 'MaxAgeSeconds', 'MaxBytes', 'OnLimit')
        ),
        timeout=60,
    )
