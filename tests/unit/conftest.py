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
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from werkzeug import serving

from hawkfish_plugin import db, notes, services
from hawkfish_plugin.drivers.behaviour import Behaviour
from hawkfish_plugin.exports import Owner
from hawkfish_plugin.operations.create import Create
from hawkfish_plugin.operations.group_create import GroupCreate
from hawkfish_plugin.tasks.operation import Operation
from hawkfish_plugin.tasks.task import COMPLETED, Task
from tests.served import FAKE_UUID, Monitors, fake_system
from tests.waiting import wait_for

# Whoever runs the tests in the background may have it ignored, by what they
# start as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What groups are made of, by name.
NODES = {
    f'node-{number}': f'00000000-0000-4000-8000-{number:012}'
    for number in range(8)
}

# Longer than any test: an operation that is this slow ends when it may.
_SLOW_SECONDS = 600.0


@dataclasses.dataclass
class Emulator(Monitors):
    """
    A served emulator: where it is, what it serves, its fake driver.

    *followed* are the creates after which the policy has had its turn.
    """

    url: str
    app: Any
    state: pathlib.Path
    system: str = FAKE_UUID
    system_name: str = 'fake'
    followed: set[int] = dataclasses.field(default_factory=set, repr=False)

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
    def notes(self) -> notes.Notes:
        """The notes, as another process has them."""
        return notes.Notes(db.Database(self.folder))

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

    def _unfinished(self) -> list[Task]:
        # Before the tasks: what follows a create is then among them.
        followed = frozenset(self.followed)
        return [
            task
            for task in self.services.tasks.list()
            if task.active
            or (
                task.operation in (Create.name, GroupCreate.name)
                and task.state == COMPLETED
                and task.parent is None
                and task.id not in followed
            )
        ]

    def watch_follow(self) -> None:
        """Keep account of what is in *followed*."""
        for kind in (Create, GroupCreate):
            self._watch_follow(self.services.operations.get(kind))

    def _watch_follow(self, create: Operation) -> None:
        follow = create.follow

        def follow_and_tell(task: Task) -> None:
            try:
                follow(task)
            finally:
                self.followed.add(task.id)

        create.follow = follow_and_tell  # type: ignore[method-assign]


@pytest.fixture(scope='session')
def served_app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp('emulator')
    os.environ['OS_HAWKFISH__STATE_DIR'] = str(folder / 'hawkfish')
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
        patch.setenv('OS_TASKS__KEEP_COMPLETED', '100')
        patch.setenv('OS_EVENTS__KEEP', '300')
        plugin.setup(main.app)
    server = serving.make_server('127.0.0.1', 0, main.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served = Emulator(
        f'http://127.0.0.1:{server.port}', main.app, folder / 'hawkfish'
    )
    served.watch_follow()
    yield served
    server.shutdown()


@pytest.fixture
def emulator(served_app: Emulator) -> Any:
    """The emulator, with no snapshots and a quick, healthy fake driver."""
    served_app.wait_idle()
    served_app.driver.behaviour = Behaviour()
    for system in served_app.driver.power_states():
        for export in served_app.services.exports.list(Owner(system.uuid)):
            served_app.services.exports.delete(export)
    for system in served_app.driver.systems():
        # The next one may have the same name, and the same second.
        for name in served_app.driver.names(system.uuid):
            served_app.notes.forget(system.uuid, name)
    served_app.driver.clear()
    # A reset takes seconds, and may be in the middle.
    reset = {'power_state': 'Off', 'pending_power': None}
    for uuid in (FAKE_UUID, *NODES.values()):
        # A look is cheap beside a change.
        if not reset.items() <= served_app.app.systems._get(uuid).items():
            served_app.app.systems._update(uuid, **reset)
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
