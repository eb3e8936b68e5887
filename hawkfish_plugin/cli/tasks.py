# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish task``: watch, cancel and abandon tasks.

Owns how a task is shown, also for the commands that start one. A task that
has ended is never cancelled: the service would delete it. That is what
acknowledges one that was abandoned.
"""

import argparse
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import base, cells, errors, tables, waiting

if TYPE_CHECKING:
    from hawkfish_plugin import client

Fields = tuple[tuple[str, ...], tuple[Any, ...]]

BRIEF = ('ID', 'Operation', 'Snapshot', 'State', 'Percent', 'Started')
"""What a table shows of the tasks of several systems"""

COLUMNS = (
    'ID',
    'Operation',
    'System',
    'Snapshot',
    'State',
    'Percent',
    'Started',
)


def fields(task: 'client.Task', waits_for: str | None = None) -> Fields:
    """Return the columns and the values that show *task*."""
    values = {
        **dict(zip(COLUMNS, _row(task), strict=True)),
        **({'Group': task.group} if task.group else {}),
        'Ended': cells.moment(task.end_time),
        'Messages': [message.message for message in task.messages or ()],
    }
    if waits_for:
        values['Waits For'] = waits_for
    return tuple(values), tuple(values.values())


def _row(task: 'client.Task') -> tuple[Any, ...]:
    return (
        task.identity,
        task.operation,
        # A task of a group has several, and names one of them.
        cells.shown(None, f'group {task.group}')
        if task.group
        else cells.system(task.system),
        task.snapshot,
        cells.state(waiting.state(task)),
        task.percent_complete,
        cells.moment(task.start_time),
    )


def _add_task(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'task', metavar='TASK', type=base.name, help='ID of the task.'
    )


def _refuse_ended(task: 'client.Task') -> None:
    if waiting.state(task) in waiting.ENDED:
        raise errors.CommandError(
            f'Task {task.identity} has already ended: {waiting.state(task)}.'
        )


class ListTasks(tables.Lister):
    """List the tasks of the service."""

    brief = ('ID', 'Operation', 'System', 'Snapshot', 'State', 'Started')
    nothing = 'tasks'

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[Any]]:
        return COLUMNS, [_row(task) for task in self.client.tasks()]


class ShowTask(tables.ShowOne):
    """Show one task."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_task(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        task = self.client.task(parsed_args.task)
        return fields(task, waiting.waits_for(task, self.client))


class WaitTask(waiting.Waiting, tables.ShowOne):
    """Wait for a task to end, and fail if the task failed."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_task(parser)
        parser.add_argument(
            '--timeout',
            type=base.seconds,
            metavar='SECONDS',
            default=waiting.FOREVER,
            help='Stop waiting after SECONDS; the task continues.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        task = self.client.task(parsed_args.task)
        if task.operation is None and waiting.state(task) in waiting.ENDED:
            # That of the emulator itself has no monitor.
            return fields(task)
        _, ended = self.wait(task, parsed_args.timeout)
        return fields(ended)


class CancelTask(base.Command):
    """Cancel a task that has not ended."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_task(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        task = self.client.task(parsed_args.task)
        _refuse_ended(task)
        task.cancel()
        self.app.LOG.info('Requested cancellation of task %s.', task.identity)


class AbandonTask(base.Command):
    """
    End a task that does not end, though its system may be half changed.

    For administrators. Look after the system before it is started; see 'task
    acknowledge'.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_task(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        task = self.client.task(parsed_args.task)
        # Those of the emulator itself have no such action, and have ended.
        _refuse_ended(task)
        task.abandon()
        self.app.LOG.info(
            'Abandoned task %s. When its system is well: %s',
            task.identity,
            self.command_line('task', 'acknowledge', task.identity),
        )


class AcknowledgeTask(base.Command):
    """
    Say that the system of an abandoned task is well, and delete the task.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_task(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        task = self.client.task(parsed_args.task)
        if waiting.state(task) not in waiting.ENDED:
            raise errors.CommandError(
                f'Task {task.identity} has not ended: {waiting.state(task)}.'
            )
        if waiting.state(task) == 'Completed':
            raise errors.CommandError(
                f'Task {task.identity} has completed; there is nothing to '
                'acknowledge.'
            )
        task.cancel()
        self.app.LOG.info(
            'Acknowledged task %s, and deleted it.', task.identity
        )
