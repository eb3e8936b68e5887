# SPDX-License-Identifier: Apache-2.0
"""A daemon that takes connections and says nothing, and libvirt's client."""

import contextlib
import socket
import threading
import time

import libvirt
import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import opening
from tests.waiting import wait_for


class Silent:
    """It accepts whoever connects."""

    def __init__(self, path):
        self.uri = f'qemu+unix:///system?socket={path}'
        self.accepted = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                self.accepted.append(self._socket.accept()[0])

    def stop(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for one in self.accepted:
            one.close()


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    monkeypatch.setattr(opening, '_OPEN_SECONDS', 0.3)
    daemon = Silent(tmp_path / 'socket')
    yield daemon
    with contextlib.suppress(OSError):
        daemon.stop()


def test_many_wait_for_one(daemon):
    """However many want a connection, there is one socket and one thread."""
    opener, errors = opening.Opener(daemon.uri), []

    def try_it():
        with pytest.raises(exceptions.HypervisorUnavailable) as caught:
            opener.open()
        errors.append(caught.value)

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(errors) == 8
    assert len(daemon.accepted) == 1
    named = [t for t in threading.enumerate() if t.name == 'hawkfish-open']
    assert len(named) == 1


def test_who_comes_later_does_not_wait(daemon, monkeypatch):
    """While it is known to hang the answer is there at once."""
    opener = opening.Opener(daemon.uri)
    with pytest.raises(exceptions.HypervisorUnavailable):
        opener.open()
    begin = time.process_time()
    for _ in range(100):
        with pytest.raises(exceptions.HypervisorUnavailable):
            opener.open()

    assert len(daemon.accepted) == 1
    assert time.process_time() - begin < 5


def test_it_comes_back(daemon):
    """When the opening has ended, badly as well, the next one is tried."""
    opener = opening.Opener(daemon.uri)
    with pytest.raises(exceptions.HypervisorUnavailable, match='0.3 seconds'):
        opener.open()
    daemon.stop()

    def refused():
        with pytest.raises(exceptions.HypervisorUnavailable) as caught:
            opener.open()
        return '0.3 seconds' not in str(caught.value)

    wait_for(refused)
