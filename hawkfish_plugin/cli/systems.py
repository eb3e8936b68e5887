# SPDX-License-Identifier: Apache-2.0
"""``hawkfish system``: what concerns a system as a whole."""

import argparse
from typing import Any

from hawkfish_plugin.cli import base, tables, tasks, waiting


class ListSystems(tables.Lister):
    """List the systems by name, with where each of them stands."""

    columns = ('Name', 'UUID', 'Power', 'Snapshots', 'Current', 'Groups')
    brief = ('Name', 'Power', 'Snapshots', 'Current', 'Groups')
    nothing = 'systems'

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[Any]]:
        return self.columns, [
            (
                system.name,
                system.uuid,
                system.power_state,
                system.snapshot_count,
                system.current_snapshot,
                system.groups,
            )
            for system in self.client.systems()
        ]


class RepairSystem(waiting.WaitOption, base.OfSystem, tables.ShowOne):
    """
    Put an unsafe system back on the files that it was on.

    Changes the definition only, and loses no data; shows the task, or with
    --dry-run the changes.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--dry-run',
            action='store_true',
            help='Show what would be changed, and change nothing.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tasks.Fields:
        snapshots = self.client.snapshots(parsed_args.system)
        if parsed_args.dry_run:
            repairs = snapshots.plan_repair()
            if not repairs:
                self.app.LOG.info('Nothing to repair.')
            return (
                tuple(one['Disk'] for one in repairs),
                tuple(
                    f'{one["PathAfter"]} (now {one["PathBefore"]})'
                    for one in repairs
                ),
            )
        return tasks.fields(self.follow(snapshots.repair(), parsed_args)[1])
