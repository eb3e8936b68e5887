# SPDX-License-Identifier: Apache-2.0
"""
Ironic from PyPI in front of the emulator, of a fake and of a real system.

Skipped where Ironic is not installed, as it is in the environment of
``tox -e ironic`` alone. The real system is one of the lab, which needs root
and what the functional tests need.
"""

import itertools
import pathlib
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.ironic.service import TIMES, Ironic, Node
from tests.served import FAKE_UUID, Served
from tests.waiting import wait_for

_numbers = itertools.count(1)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell the median time of each command, for the documentation."""
    taken: dict[str, list[float]] = {}
    for words, seconds in TIMES:
        taken.setdefault(words, []).append(seconds)
    terminalreporter.section('seconds')
    for words, times in sorted(taken.items()):
        median = statistics.median(times)
        terminalreporter.write_line(f'{median:6.1f}  baremetal {words}')


class Backend:
    """An emulator, and a system of it that a test may do anything to."""

    def __init__(
        self,
        emulator: Served,
        uuid: str,
        name: str,
        make_guest: Callable[[], Any] | None = None,
    ) -> None:
        self.emulator, self.uuid, self.name = emulator, uuid, name
        self.make_guest = make_guest

    @property
    def is_real(self) -> bool:
        return self.make_guest is not None

    def wait_power(self, state: str, seconds: float = 30) -> None:
        """Wait for a power state, which a fake system takes its time for."""
        wait_for(
            lambda: self._power_state() == state,
            f'the system to be {state}',
            seconds,
            0.2,
        )

    def _power_state(self) -> str:
        shown = requests.get(self.emulator.system(self.uuid), timeout=30)
        state: str = shown.json()['PowerState']
        return state

    def clear(self) -> None:
        """Delete the snapshots, the youngest first."""
        for snapshot in reversed(self.emulator.snapshots(self.uuid)):
            self.emulator.delete(self.uuid, snapshot['Name'])


def fake(folder: pathlib.Path) -> Iterator[Backend]:
    """The emulator's own fake system."""
    emulator = Served(folder).start()
    yield Backend(emulator, FAKE_UUID, 'fake')
    emulator.stop()


def real(folder: pathlib.Path) -> Iterator[Backend]:
    """A domain in the lab, and more of them for who wants to boot one."""
    pytest.importorskip('libvirt')
    from tests.functional import conftest as functional
    from tests.lab import domains, roots
    from tests.lab.host import Host

    release = roots.wanted()[-1]
    with Host(f'ironic-{release}', release) as host:
        emulator = Served(folder, host.uri).start()
        small = domains.Domain('node-small', **functional.SMALL)
        system = functional.System(host, small)
        yield Backend(
            emulator,
            system.uuid,
            system.name,
            lambda: functional.System(host, domains.Domain('node-guest')),
        )
        emulator.stop()
        system.remove()


@pytest.fixture(
    scope='session', params=[fake, real], ids=lambda make: make.__name__
)
def shared_backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    yield from request.param(tmp_path_factory.mktemp('emulator'))


@pytest.fixture
def backend(shared_backend: Backend) -> Backend:
    """The emulator; its system has no snapshots."""
    shared_backend.clear()
    return shared_backend


@pytest.fixture(scope='session')
def ironic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ironic]:
    pytest.importorskip('ironic', reason='see tox -e ironic')
    with Ironic(tmp_path_factory.mktemp('ironic')) as started:
        yield started


@pytest.fixture
def enroll(ironic: Ironic, backend: Backend) -> Iterator[Callable[..., Node]]:
    """Make managed nodes of the system, by hardware type."""
    made = []

    def make(driver: str = 'hawkfish', uuid: str = '') -> Node:
        made.append(
            Node(
                ironic,
                f'node-{next(_numbers)}',
                driver,
                backend.emulator.url,
                uuid or backend.uuid,
            )
        )
        return made[-1]

    yield make
    for node in made:
        node.remove()


@pytest.fixture
def node(enroll: Callable[..., Node]) -> Node:
    """A managed node of the hardware type ``hawkfish``, powered on."""
    made = enroll()
    made.act('power on')
    made.wait('power_state', 'power on')
    return made


@pytest.fixture
def guest(backend: Backend) -> Iterator[Any]:
    """A system of the lab with a guest in it, booted."""
    if backend.make_guest is None:
        pytest.skip('a fake system has no data')
    system = backend.make_guest().boot()
    system.guest.wait_agent()
    yield system
    system.remove()
