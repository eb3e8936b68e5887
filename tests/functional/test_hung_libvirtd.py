# SPDX-License-Identifier: Apache-2.0
"""
libvirtd hangs in the middle of an operation: it takes what is sent to it, and
says nothing.  The task waits for it, and the emulator serves on meanwhile.
"""

import os
import resource
import signal
import time

import pytest
import requests

from tests.functional.conftest import SMALL

pytestmark = pytest.mark.once


@pytest.fixture
def hung(make_system, served, host):
    """A create that has begun, and a libvirtd that hangs since; its task."""
    system = make_system(**SMALL)
    served.order('sleep=3', 'create', 'prepare')
    accepted = served.post_create(system.uuid, Name='s')
    deadline = time.monotonic() + 20
    while (served.folder / 'order').exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pid = host.daemon_pid()
    os.kill(pid, signal.SIGSTOP)
    yield accepted.headers['Location']
    os.kill(pid, signal.SIGCONT)


def open_files(emulator):
    return len(os.listdir(f'/proc/{emulator.process.pid}/fd'))


def test_waiting(served, hung):
    """The emulator takes no more for it the longer it lasts."""
    # Until the connections of before have been given up.
    time.sleep(70)
    before = open_files(served)
    time.sleep(70)

    assert open_files(served) <= before + 2


def test_few_files_left(served, hung):
    """It outlives that it may open no more of them."""
    time.sleep(65)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # As after half an hour with four tasks and the usual limit of 1024.
    resource.prlimit(
        served.process.pid,
        resource.RLIMIT_NOFILE,
        (open_files(served) + 5, most),
    )
    time.sleep(60)

    assert served.process.poll() is None, served.log()[-300:]


def test_a_cancel(served, hung):
    """Who cancels the task has it over, or is told that he cannot."""
    time.sleep(50)
    response = requests.delete(served.url + hung, timeout=30)
    if response.status_code == 409:
        return
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if requests.get(served.url + hung, timeout=30).status_code != 202:
            return
        time.sleep(1)

    raise AssertionError('it was accepted, and the task is still there')
