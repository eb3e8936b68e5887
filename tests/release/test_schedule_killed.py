# SPDX-License-Identifier: Apache-2.0
"""No run is lost and none is made twice when the emulator is killed."""

import random
import re
import time

import pytest
import requests

from tests.served import FAKE_UUID, Served
from tests.waiting import wait_for

SCHEDULES = 60
KILLS = 4


@pytest.fixture
def process(tmp_path):
    made = Served(tmp_path)
    yield made
    made.stop()


def members(process, path):
    uri = f'{process.url}/redfish/v1/{path}?$expand=.'
    return requests.get(uri, timeout=60).json()['Members']


def counts(process):
    return [
        job['Oem']['HawkFish']['OccurrenceCount']
        for job in members(process, 'JobService/Jobs')
    ]


def test_each_schedule_has_one_run(process):
    """Killed while the runs of many begin, each begins once."""
    chance = random.Random(7)
    process.start()
    for number in range(SCHEDULES):
        uri = f'/redfish/v1/Systems/{FAKE_UUID}/Oem/HawkFish/Snapshots'
        made = requests.post(
            f'{process.url}/redfish/v1/JobService/Jobs',
            json={
                'Name': f's{number}',
                'Schedule': {'RecurrenceInterval': 'P1D'},
                'Payload': {'TargetUri': uri},
            },
            timeout=60,
        )
        assert made.status_code == 201, made.text
    cut = []
    for _ in range(KILLS):
        before = sum(counts(process))
        wait_for(
            lambda before=before: (
                sum(counts(process)) > before or before == SCHEDULES
            ),
            'a run',
            pause=0.002,
        )
        time.sleep(chance.random() / 50)
        cut.append(sum(counts(process)))
        process.restart()

    wait_for(
        lambda: counts(process) == [1] * SCHEDULES,
        lambda: f'all runs: {counts(process)}',
    )

    tasks = [
        found[1]
        for task in members(process, 'TaskService/Tasks')
        if (found := re.match(r'Create snapshot (s\d+)-', task['Name']))
    ]
    assert sorted(tasks) == sorted(f's{n}' for n in range(SCHEDULES))
    assert cut[0] < SCHEDULES, 'killed too late to tell anything'
