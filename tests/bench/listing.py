# SPDX-License-Identifier: Apache-2.0
"""How long a listing takes, by the number of snapshots."""

import requests

from tests.bench import populate
from tests.bench.measure import Row, Virsh, in_turn, seconds
from tests.lab.host import Host
from tests.served import Served

COUNTS = (10, 100, 1000)
ROUNDS = 9
# By the number of snapshots.
PLAIN_TARGETS = {1000: 0.5}
EXPAND_TARGETS = {1000: 1.0}


def measure(
    host: Host, emulator: Served
) -> tuple[list[Row], dict[str, list[tuple[float, float]]]]:
    """The rows of the table, and the curves by their names."""
    virsh, session = Virsh(host), requests.Session()
    uuid = populate.small(host, 'listed')
    system = emulator.system(uuid)
    snapshots = f'{system}/Oem/HawkFish/Snapshots'
    rows: list[Row] = []
    curves: dict[str, list[tuple[float, float]]] = {
        'virsh snapshot-list': [],
        'plain': [],
        '$expand=.': [],
    }

    def get(uri: str) -> requests.Response:
        response = session.get(uri, timeout=60)
        response.raise_for_status()
        return response

    for count in COUNTS:
        populate.grow(host, 'listed', count)
        first = seconds(lambda: get(f'{snapshots}?$expand=.'))
        assert len(get(snapshots).json()['Members']) == count
        listed, plain, expanded = in_turn(
            ROUNDS,
            lambda: virsh('snapshot-list', 'listed'),
            lambda: get(snapshots),
            lambda: get(f'{snapshots}?$expand=.'),
        )
        rows += [
            Row(
                f'plain list of {count}',
                'virsh snapshot-list',
                plain,
                listed,
                PLAIN_TARGETS.get(count),
            ),
            Row(
                f'list of {count} with $expand',
                'virsh snapshot-list',
                expanded,
                listed,
                EXPAND_TARGETS.get(count),
            ),
            Row(
                f'the first list of {count} with $expand',
                'virsh snapshot-list',
                [first],
                listed,
            ),
        ]
        if count == COUNTS[0]:
            # By themselves: whatever comes after a virsh finds cold caches.
            rows.append(
                Row(
                    f'plain list of {count}',
                    'GET System with the plugin',
                    *in_turn(
                        ROUNDS, lambda: get(snapshots), lambda: get(system)
                    ),
                    target=0.5,
                )
            )
        for name, samples in zip(
            curves, (listed, plain, expanded), strict=True
        ):
            curves[name].append((count, sorted(samples)[ROUNDS // 2]))
    return rows, curves


def systems(
    host: Host,
    emulator: Served,
    counts: tuple[int, ...] = (10, 50, 100, 500),
    each: int = 2,
) -> dict[str, list[tuple[float, float]]]:
    """What is asked of one system, by how many there are."""
    virsh, session = Virsh(host), requests.Session()
    curves: dict[str, list[tuple[float, float]]] = {
        'virsh list --all': [],
        'GET Systems': [],
        'plain': [],
        '$expand=.': [],
    }
    made = 0
    for count in counts:
        for number in range(made, count):
            uuid = populate.small(host, f'system{number}')
            populate.grow(host, f'system{number}', each)
        made = count
        snapshots = f'{emulator.system(uuid)}/Oem/HawkFish/Snapshots'
        uris = [
            f'{emulator.url}/redfish/v1/Systems',
            snapshots,
            f'{snapshots}?$expand=.',
        ]
        taken = in_turn(
            ROUNDS,
            lambda: virsh('list', '--all'),
            *(
                lambda uri=uri: session.get(uri, timeout=60).content
                for uri in uris
            ),
        )
        for name, samples in zip(curves, taken, strict=True):
            curves[name].append((count, sorted(samples)[ROUNDS // 2]))
    return curves
