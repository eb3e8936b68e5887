# SPDX-License-Identifier: Apache-2.0
"""
libvirtd hangs in the middle of an operation: it takes what is sent to it, and
says nothing.  The task waits for it, and the emulator serves on meanwhile.
"""

import contextlib
import os
import resource
import signal
import time

import pytest
import requests

from tests.functional.conftest import SMALL
from tests.served import message_ids
from tests.waiting import holds_for, wait_for

pytestmark = pytest.mark.once

# Twice what an opening is given.
_LONG = 35


@pytest.fixture
def system(make_system):
    return make_system(**SMALL)


@pytest.fixture
def hang(host):
    """A function that lets libvirtd hang, until the end of the test."""
    with contextlib.ExitStack() as stack:

        def hang():
            pid = host.daemon_pid()
            os.kill(pid, signal.SIGSTOP)
            stack.callback(os.kill, pid, signal.SIGCONT)
            return stack.close

        yield hang


@pytest.fixture
def waiting(system, served, hang):
    """A create that has begun, and waits; its task, and the way back."""
    served.order('sleep=3', 'create', 'prepare')
    accepted = served.post_create(system.uuid, Name='s')
    wait_for(lambda: not (served.folder / 'order').exists())
    end = hang()
    number = accepted.headers['Location'].rpartition('/')[2]
    url = f'{served.url}/redfish/v1/TaskService/Tasks/{number}'

    def told():
        said = requests.get(url).json()['Messages']
        return 'HypervisorUnavailable' in str(said)

    wait_for(told, seconds=90)
    yield accepted, url, end
    end()


def open_files(emulator):
    return len(os.listdir(f'/proc/{emulator.process.pid}/fd'))


def threads(emulator):
    return len(os.listdir(f'/proc/{emulator.process.pid}/task'))


def test_the_emulator_serves_on(served, system, waiting):
    """It takes no more for it the longer it lasts, and is quick meanwhile."""
    accepted, url, end = waiting
    # Until whatever was asked before has been given up.
    list_url = f'{served.system(system.uuid)}/Oem/HawkFish/Snapshots'
    assert requests.get(list_url).status_code == 503
    files, running = open_files(served), threads(served)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(
        served.process.pid, resource.RLIMIT_NOFILE, (files + 5, most)
    )

    def is_quick():
        begin = time.monotonic()
        refused = requests.get(list_url)
        assert requests.get(url).ok
        assert message_ids(refused) == ['HypervisorUnavailable']
        return time.monotonic() - begin < 3

    assert holds_for(is_quick, _LONG)
    assert open_files(served) <= files + 2
    assert threads(served) <= running + 2
    assert served.process.poll() is None, served.log()[-300:]

    end()
    resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE, (most, most))
    ended = served.wait(accepted)
    # Nothing had been made when libvirtd began to hang.
    assert ended.ok or message_ids(ended) == ['OperationInterrupted']


def test_a_cancel(served, waiting):
    """Who cancels the task has it over."""
    accepted, url, _ = waiting
    location = served.url + accepted.headers['Location']
    assert requests.delete(location).status_code == 202

    wait_for(lambda: requests.get(location).status_code != 202, seconds=30)

    said = requests.get(url).json()
    assert 'OperationUnsettled' in str(said['Messages'])
    assert said['Oem']['HawkFish']['Step'] == 'prepare'
