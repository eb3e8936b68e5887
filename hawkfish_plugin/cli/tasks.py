# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish task``: watch, cancel and abandon tasks.

Owns how a task is shown, also for the commands that start one. A task that
has ended is never cancelled: the service would delete it. That is what
acknowledges one that was abandoned.
"""

import argparse
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import base, errors

if TYPE_CHECKING:
    from hawkfish_plugin import client

Fields = tuple[tuple[str, ...], tuple[Any, ...]]

BRIEF = ('ID', 'Operation', 'Snapshot', 'State', 'Percent', 'Started')
"""What a table shows of the tasks of several systems"""

ENDED = ('Completed', 'Exception', 'Cancelled', 'Killed')


def fields(task: 'client.Task') -> Fields:
    """Return the columns and the values that show *task*."""
    values = {
        **dict(zip(ListTasks.columns, _row(task), strict=True)),
        'Ended': task.end_time,
        'Messages': [message.message for message in task.messages or ()],
    }
    if task.group:
        values['Group'] = task.group
    return tuple(values), tuple(values.values())


def state(task: 'client.Task') -> str | None:
    """Return the TaskState property."""
    return task.task_state.value if task.task_state else None


def _row(task: 'client.Task') -> tuple[Any, ...]:
    return (
        task.identity,
        task.operation,
        # A task of a group has several, and names one of them.
        None if task.group else task.system,
        task.snapshot,
        state(task),
        task.percent_complete,
        task.start_time,
    )


def _add_task(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'task', metavar='TASK', type=base.name, help='ID of the task.'
    )


def _refuse_ended(task: 'client.Task') -> None:
    if state(task) in ENDED:
        raise errors.CommandError(
            f'Task {task.identity} has already ended: {state(task)}.'
        )


class ListTasks(base.Lister):
    """List the tasks of the service."""

    columns = (
        'ID',
        'Operation',
        'System',
        'Snapshot',
        'State',
        'Percent',
        'Started',
    )

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[Any]]:
        return self.columns, [_row(task) for task in self.client.tasks()]


class ShowTask(base.ShowOne):
    """Show one task."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_task(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        return fields(self.client.task(parsed_args.task))


class WaitTask(base.ShowOne):
    """Wait for a task to end, and fail if the task failed."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_task(parser)
        parser.add_argument(
            '--timeout',
            type=base.seconds,
            metavar='SECONDS',
            default=base.FOREVER,
            help='Stop waiting after SECONDS; the task continues.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        task = self.client.task(parsed_args.task)
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
        if state(task) not in ENDED:
            raise errors.CommandError(
                f'Task {task.identity} has not ended: {state(task)}.'
            )
        if state(task) == 'Completed':
            raise errors.CommandError(
                f'Task {task.identity} has completed; there is nothing to '
                'acknowledge.'
            )
        task.cancel()
        self.app.LOG.info(
            'Acknowledged task %s, and deleted it.', task.identity
        )
