# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish log``: who has changed what, and what came of it.

Owns how an entry of the audit log becomes a line: what was asked for in a
word, and its outcome.
"""

import argparse
from typing import TYPE_CHECKING, Any
from urllib import parse

from hawkfish_plugin.cli import asking, base, cells, tables

if TYPE_CHECKING:
    from hawkfish_plugin import client

_LIMIT = 100
_VERBS = {'POST': 'create', 'PATCH': 'change', 'DELETE': 'delete'}
# What there are several of is by the collection that it is in.
_KINDS = {
    'Aggregates': 'group',
    'Backups': 'backup',
    'Jobs': 'schedule',
    'Sessions': 'session',
    'Snapshots': 'snapshot',
    'Subscriptions': 'subscription',
    'Systems': 'system',
    'Tasks': 'task',
}
_SINGLE = {'SnapshotPolicy': 'policy'}


def _row(entry: 'client.LogEntry') -> tuple[Any, ...]:
    return (
        entry.identity,
        cells.moment(entry.created),
        entry.user,
        _host(entry.address),
        _request(entry),
        entry.target,
        entry.systems,
        entry.snapshot,
        cells.state(entry.severity),
        _outcome(entry),
        entry.task,
    )


def _host(address: str | None) -> str | None:
    return address and address.partition('://')[2]


def _request(entry: 'client.LogEntry') -> Any:
    """What was asked for, in a word or two."""
    if entry.operation:
        words = entry.operation.replace('-', ' ')
        return cells.shown(
            entry.operation, f'{words} {entry.snapshot or ""}'.rstrip()
        )
    if entry.reset_type:
        return f'reset {entry.reset_type}'
    last = parse.unquote((entry.target or '').rpartition('/')[2])
    exact = f'{entry.method} {last}'.rstrip()
    return cells.shown(exact, _in_words(entry) or exact)


def _in_words(entry: 'client.LogEntry') -> str | None:
    """A request that has begun no task, as the operations are called."""
    *_, above, last = ['', *(entry.target or '').split('/')]
    if '/Actions/' in (entry.target or ''):
        # "HawkFishSnapshot.Revert", or "Oem.HawkFish.Snapshot.Revert".
        return cells.words(last.rpartition('.')[2])
    verb = _VERBS.get(entry.method or '')
    if verb and entry.method == 'POST':
        kind, which = _KINDS.get(above if last == 'Members' else last), ''
    else:
        kind, which = _KINDS.get(above), parse.unquote(last)
    if last in _SINGLE:
        kind, which = _SINGLE[last], ''
    return f'{verb} {kind} {which}'.rstrip() if verb and kind else None


def _outcome(entry: 'client.LogEntry') -> Any:
    """What came of it, and why where it is not what was asked for."""
    outcome = entry.task_state
    if outcome is None and entry.status is not None:
        outcome = str(entry.status)
    reason = (entry.reason or '').rpartition('.')[2]
    if not (outcome and reason):
        return outcome
    # Apart: together they are wider than anything else.
    return cells.shown(f'{outcome} {reason}', outcome, reason)


def _add_system(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        'system',
        metavar='SYSTEM',
        type=base.name,
        nargs='?',
        help=f'{what} of this system only, by name or UUID.',
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 9):
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number')
    if not int(text):
        raise argparse.ArgumentTypeError('0 entries would show nothing')
    return int(text)


class ListLog(tables.Lister):
    """
    List what was changed, by whom and with what outcome, newest last.

    Requests that only read are not in the log.
    """

    columns = (
        *('ID', 'Time', 'User', 'Address', 'Request', 'Path', 'Systems'),
        *('Snapshot', 'Severity', 'Outcome', 'Task'),
    )
    brief = ('Time', 'User', 'Request', 'Systems', 'Outcome')
    nothing = 'entries'

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_system(parser, 'Entries')
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            '--limit',
            metavar='N',
            type=_count,
            default=_LIMIT,
            help=f'Number of newest entries to list; {_LIMIT} by default.',
        )
        group.add_argument(
            '--all', action='store_true', help='List all entries.'
        )
        parser.add_argument(
            '--filter',
            metavar='EXPRESSION',
            help='Entries to list, as a Redfish $filter, for example '
            '"Severity ne \'OK\'" or "Username eq \'admin\'".',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[Any]]:
        limit = None if parsed_args.all else parsed_args.limit
        log = self.client.audit_log(parsed_args.system)
        found = list(log.entries(limit, parsed_args.filter))
        return self.columns, [_row(entry) for entry in reversed(found)]


class ClearLog(asking.Asking):
    """
    Clear the audit log; that it was cleared is its first entry.

    The log of a system shows no older entries any more, but that of the
    service keeps them.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_system(parser, 'The log')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        log = self.client.audit_log(parsed_args.system)

        def find_loss() -> str:
            newest = next(log.entries(1), None)
            if newest is None:
                return ''
            kept = (
                'will not be shown' if parsed_args.system else 'will be lost'
            )
            return f'What was done up to entry {newest.identity} {kept}.'

        of = f' of {parsed_args.system}' if parsed_args.system else ''
        self.ask(parsed_args, f'Clear the audit log{of}', find_loss)
        log.clear()
        self.app.LOG.info('Cleared the audit log%s.', of)
