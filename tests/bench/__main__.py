# SPDX-License-Identifier: Apache-2.0
"""
The benchmark: ``python -m tests.bench``, as root, for some minutes.

Prints a table with the target of each figure, and keeps the samples as JSON.
A target that is missed is no failure of the program.
"""

import argparse
import pathlib
import tempfile

from tests.bench import bundles, groups, listing, operations, report, service
from tests.bench.measure import Row
from tests.lab import roots
from tests.lab.host import Host
from tests.served import Served

PARTS = (
    'service',
    'operations',
    'groups',
    'bundles',
    'overlays',
    'listing',
    'systems',
)


def main() -> None:
    parser = argparse.ArgumentParser('python -m tests.bench')
    parser.add_argument('--release', default=roots.default()[0])
    parser.add_argument('--output', default='build/bench', type=pathlib.Path)
    parser.add_argument('--pictures', default='build/bench', type=pathlib.Path)
    parser.add_argument('part', nargs='*', choices=[[], *PARTS])
    options = parser.parse_args()
    operations.listen()
    rows, curves = _measure(options.release, options.part or PARTS)
    print(report.table(rows))
    options.output.mkdir(parents=True, exist_ok=True)
    kept = options.output / 'bench.json'
    kept.write_text(report.as_json(rows, curves))
    for name, across in (
        ('listing', 'snapshots of one system'),
        ('overlays', 'overlays'),
        ('systems', 'systems of two snapshots each'),
    ):
        if name in curves:
            report.draw(
                options.pictures / f'{name}.svg',
                f'Seconds, by the number of {across}',
                across,
                curves[name],
            )
    print(f'See {kept}')


def _measure(
    release: str, parts: list[str] | tuple[str, ...]
) -> tuple[list[Row], dict[str, report.Curves]]:
    rows: list[Row] = []
    curves: dict[str, report.Curves] = {}
    with tempfile.TemporaryDirectory() as name, Host('bench', release) as host:
        folder = pathlib.Path(name)
        for part in ('ours', 'stock', 'bare', 'near'):
            (folder / part).mkdir()
        ours = Served(folder / 'ours', host.uri)
        stock = Served(folder / 'stock', host.uri, preamble='')
        bare = Served(
            folder / 'bare',
            host.uri,
            OS_SNAPSHOTS__QUIESCE='never',
            OS_REVERT__SYNC_GUEST_TIME='false',
        )
        try:
            ours.start()
            stock.start()
            bare.start()
            if 'service' in parts:
                rows += service.measure(host, ours, stock, folder)
            if 'operations' in parts:
                rows += operations.measure(host, ours, bare)
            if 'groups' in parts:
                rows += groups.measure(host, ours, bare)
            if 'bundles' in parts:
                rows += bundles.measure(host, ours, folder / 'near')
            if 'overlays' in parts:
                curves['overlays'] = operations.overlays(host, ours)
            # The last ones, as they leave many files to the others.
            if 'listing' in parts:
                found, curves['listing'] = listing.measure(host, ours)
                rows += found
            if 'systems' in parts:
                curves['systems'] = listing.systems(host, ours)
        finally:
            ours.stop()
            stock.stop()
            bare.stop()
    return rows, curves


if __name__ == '__main__':
    main()
