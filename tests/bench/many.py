# SPDX-License-Identifier: Apache-2.0
"""
What a group itself costs: ``python -m tests.bench.many``, no root needed.

Many fake systems, whose snapshots are in memory, are captured as one: what is
left is the locks, the tasks and the database.
"""

import os
import pathlib
import tempfile
import time

from tests.bench.measure import Row
from tests.bench.report import table
from tests.served import fake_system
from tests.waiting import wait_for

MEMBERS = 50
ROUNDS = 5
_MOST_SECONDS = 0.020

_AGGREGATES = '/redfish/v1/AggregationService/Aggregates'


def measure(folder: pathlib.Path) -> list[Row]:
    os.environ['OS_HAWKFISH__STATE_DIR'] = str(folder / 'hawkfish')
    from sushy_tools.emulator import main

    from hawkfish_plugin import plugin, services

    main.app.config['SUSHY_EMULATOR_FAKE_DRIVER'] = True
    main.app.config['SUSHY_EMULATOR_STATE_DIR'] = str(folder)
    main.app.config['SUSHY_EMULATOR_FAKE_SYSTEMS'] = [
        fake_system(f'00000000-0000-4000-8000-{n:012}', f'node-{n}')
        for n in range(MEMBERS)
    ]
    plugin.setup(main.app)
    client = main.app.test_client()
    elements = [
        {'@odata.id': f'/redfish/v1/Systems/node-{n}'} for n in range(MEMBERS)
    ]
    made = client.post(_AGGREGATES, json={'Name': 'lab', 'Elements': elements})
    assert made.status_code == 201, made.text
    ours = services.of(main.app)
    # Those of the fake driver are files, which no hypervisor has.
    vars(ours.driver).update(_trees={}, _paused={})

    def create(number: int) -> tuple[float, float]:
        begin, busy = time.monotonic(), time.process_time()
        accepted = client.post(
            f'{_AGGREGATES}/lab/Oem/HawkFish/Snapshots',
            json={'Name': f's{number}'},
        )
        task = int(accepted.headers['Location'].rpartition('/')[2])
        wait_for(
            lambda: not ours.tasks.get(task).active, 'the create', pause=0.05
        )
        taken = time.monotonic() - begin, time.process_time() - busy
        assert ours.tasks.get(task).state == 'Completed'
        return taken[0] / MEMBERS, taken[1] / MEMBERS

    create(0)
    taken = [create(number) for number in range(1, ROUNDS + 1)]
    what = f'a group of {MEMBERS} fake systems: create, for each of them'
    return [
        Row(
            name,
            'what it may cost',
            samples,
            [_MOST_SECONDS] * ROUNDS,
            1.0,
        )
        for name, samples in zip(
            (what, 'the same, of the processor'),
            zip(*taken, strict=True),
            strict=True,
        )
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(table(measure(pathlib.Path(folder))), flush=True)
        # Its workers end with the process only.
        os._exit(0)


if __name__ == '__main__':
    main()
