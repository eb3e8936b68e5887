# SPDX-License-Identifier: Apache-2.0
"""
Commands that wait for tasks.

Owns the progress that they show, and what they say if they are interrupted or
run out of time: the task continues.
"""

import argparse
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from hawkfish_plugin.cli import base, errors, output

if TYPE_CHECKING:
    # The commands have a property called client.
    from hawkfish_plugin import client as sdk

FOREVER = math.inf
ENDED = ('Completed', 'Exception', 'Cancelled', 'Killed')


class Waitable(Protocol):
    """A task or a task handle."""

    @property
    def identity(self) -> str: ...

    def wait(
        self, timeout_sec: float, progress: Callable[[Any], None]
    ) -> Any: ...


def state(task: 'sdk.Task') -> str | None:
    """Return the TaskState property."""
    return task.task_state.value if task.task_state else None


def waits_for(task: 'sdk.Task', service: 'sdk.HawkFish') -> str | None:
    """Say which other task of *service* keeps *task* from its start."""
    if state(task) != 'New':
        return None
    number, systems = int(task.identity), _systems(task, service)
    for other in service.tasks():
        before = state(other) not in ENDED and int(other.identity) < number
        if before and systems & _systems(other, service):
            return f'task {other.identity} ({other.name})'
    return None


def _systems(task: 'sdk.Task', service: 'sdk.HawkFish') -> set[str]:
    from sushy import exceptions

    if not task.group:
        return {task.system} if task.system else set()
    try:
        return set(service.group(task.group).elements)
    except exceptions.ResourceNotFoundError:
        # The task is still making it, or has deleted it.
        return set()


class Waiting(base.Command):
    """A command that can wait for tasks."""

    def wait(
        self, work: Waitable, timeout_sec: float
    ) -> 'tuple[Any, sdk.Task]':
        """
        Wait for *work*, and return what it has created and its task.

        Warnings of the task are logged to stderr when it has ended.
        """
        from hawkfish_plugin import client

        try:
            with self.progress() as progress:
                created = work.wait(
                    timeout_sec, lambda task: self.show(progress, task)
                )
        except client.CreatedGone:
            # It did succeed; the task tells what it was.
            created = None
        except KeyboardInterrupt:
            self.app.LOG.error(
                'Task %s continues; %s\nCancel it with: %s',
                work.identity,
                self._hint(work),
                self.command_line('task', 'cancel', work.identity),
            )
            raise
        except client.TaskTimeout as error:
            raise self.with_hint(error, work) from error
        ended = self.client.task(work.identity)
        self.warn(ended)
        return created, ended

    def show(self, progress: output.Progress, task: 'sdk.Task') -> None:
        """Show how far the *task* is that is waited for."""
        from sushy import exceptions

        if not progress.is_shown:
            return
        try:
            lines = self._lines(task)
        except exceptions.SushyError:
            # The wait itself reports what matters.
            lines = [output.bar(task)]
        progress.draw(lines)

    def _lines(self, task: 'sdk.Task') -> list[str]:
        queued = waits_for(task, self.client)
        lines = [output.bar(task, f'waits for {queued}:' if queued else '')]
        if task.group:
            # Of each member what is done last.
            latest = {sub.system: sub for sub in task.sub_tasks()}
            names = self._names_in(task.group) if latest else {}
            lines += [
                output.bar(sub, names.get(system, system))
                for system, sub in latest.items()
                if system
            ]
        return lines

    @functools.cache  # noqa: B019
    def _names_in(self, group: str) -> dict[str, str]:
        """The names of the members of *group*, by UUID."""
        systems = self.client.group(group).systems
        return {one['UUID']: one['Name'] for one in systems}

    def wait_all(
        self,
        handles: 'Sequence[sdk.TaskHandle[Any]]',
        timeout_sec: float,
        labels: Mapping[str, str],
    ) -> 'list[sdk.Outcome[Any]]':
        """
        Wait for all *handles*, and return their outcomes.

        *labels* are the names of their progress, by the ID of the task.
        """
        from hawkfish_plugin import client

        lines = dict.fromkeys(labels, '')
        outcomes: list[sdk.Outcome[Any]] = []
        try:
            # Its lines are gone before anything else is written.
            with self.progress() as progress:

                def show(task: 'sdk.Task') -> None:
                    label = labels[task.identity]
                    lines[task.identity] = output.bar(task, label)
                    progress.draw([line for line in lines.values() if line])

                for outcome in client.wait_all(handles, timeout_sec, show):
                    lines.pop(outcome.handle.identity)
                    outcomes.append(outcome)
        except KeyboardInterrupt:
            self.app.LOG.error(
                'Tasks %s continue; watch them with: %s\nCancel one with: %s',
                ', '.join(lines),
                self.command_line('task', 'list'),
                self.command_line('task', 'cancel', 'ID'),
            )
            raise
        return outcomes

    def progress(self) -> output.Progress:
        """Return where progress is shown."""
        quiet = self.app.options.verbose_level == 0
        return output.Progress(self.app.stderr, quiet)

    def warn(self, task: 'sdk.Task', prefix: str = '') -> None:
        """Log the warnings of a *task* that has ended."""
        for warning in task.warnings:
            text = output.printable(f'{prefix}{warning}')
            self.app.LOG.warning('Warning: %s', text)

    def with_hint(self, error: Exception, work: Waitable) -> Exception:
        """Return *error* of *work*, for a timeout with how to go on."""
        from hawkfish_plugin import client

        if not isinstance(error, client.TaskTimeout):
            return error
        return errors.CommandError(f'{error}; {self._hint(work)}')

    def _hint(self, work: Waitable) -> str:
        watch = self.command_line('task', 'wait', work.identity)
        return f'watch it with: {watch}'


class WaitOption(Waiting):
    """``--no-wait``: whether and how long to wait for the task to end."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            '--wait',
            nargs='?',
            type=base.seconds,
            metavar='SECONDS',
            const=FOREVER,
            default=FOREVER,
            help='Wait at most SECONDS for the task to end; by default, and '
            'without SECONDS, as long as it takes.',
        )
        group.add_argument(
            '--no-wait',
            dest='wait',
            action='store_const',
            const=None,
            help='Do not wait for the task to end; show the task.',
        )
        return parser

    def follow(
        self, handle: 'sdk.TaskHandle[Any]', parsed_args: argparse.Namespace
    ) -> 'tuple[Any, sdk.Task]':
        """Wait if requested; return what was created, and the task."""
        if parsed_args.wait is not None:
            return self.wait(handle, parsed_args.wait)
        return None, handle.task or self.client.task(handle.identity)
