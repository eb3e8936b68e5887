# SPDX-License-Identifier: Apache-2.0
"""Many groups that have members in common."""

import random

import pytest
import requests

from tests.served import Served, fake_system

UUIDS = [f'00000000-0000-4000-8000-{number:012}' for number in range(8)]
AGGREGATES = '/redfish/v1/AggregationService/Aggregates'


@pytest.fixture
def emulator(tmp_path):
    """An emulator of eight systems."""
    systems = [
        fake_system(uuid, f'node-{number}')
        for number, uuid in enumerate(UUIDS)
    ]
    served = Served(
        tmp_path, config=f'SUSHY_EMULATOR_FAKE_SYSTEMS = {systems!r}\n'
    )
    yield served.start()
    served.stop()


def test_groups_with_common_members_do_not_wait_for_each_other(emulator):
    """200 creates of random groups that overlap all come to an end."""
    chosen = random.Random(15)
    groups = []
    for number in range(20):
        members = chosen.sample(UUIDS, chosen.randint(1, 5))
        groups.append(f'{emulator.url}{AGGREGATES}/g{number}')
        made = requests.post(
            emulator.url + AGGREGATES,
            json={
                'Name': f'g{number}',
                'Elements': [
                    {'@odata.id': f'/redfish/v1/Systems/{uuid}'}
                    for uuid in members
                ],
            },
            timeout=60,
        )
        assert made.status_code == 201, made.text
    accepted = [
        requests.post(
            f'{chosen.choice(groups)}/Oem/HawkFish/Snapshots',
            json={'Name': f's{number}'},
            timeout=60,
        )
        for number in range(200)
    ]

    for response in accepted:
        ended = emulator.wait(response, 300)
        assert ended.status_code == 201, ended.text
