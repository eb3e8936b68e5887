# SPDX-License-Identifier: Apache-2.0
"""
Commands that work on several systems at once.

Owns how the work is spread, and how its results become one table: a row for
each system, with its name first. A system that fails is named on standard
error, does not keep the others from being worked on, and fails the command.
The service works in parallel, so one thread submits and watches everything.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hawkfish_plugin.cli import errors, tables, tasks, waiting
from hawkfish_plugin.cli.selection import OfSystems, Selection, Target

if TYPE_CHECKING:
    from hawkfish_plugin import client

Submit = Callable[[str], 'client.TaskHandle[Any]']
Show = Callable[[Any, 'client.Task'], tasks.Fields]


class OnEach(OfSystems):
    """
    A command that asks the same of each system.

    *brief* are the columns of a table of several systems, where those of one
    are too many.
    """

    def ask_each(
        self,
        parsed_args: argparse.Namespace,
        ask: Callable[[str], tasks.Fields],
        brief: Sequence[str] = (),
    ) -> 'tuple[Sequence[str], Sequence[Any]]':
        """Return what *ask* returns for the system, or for each of them."""
        chosen = self.select(parsed_args)
        if chosen.single:
            return ask(chosen.targets[0].identity)
        check_format(parsed_args)
        return self.table(chosen, self.try_each(chosen, ask), brief)

    def try_each(
        self, chosen: Selection, call: Callable[[str], Any]
    ) -> dict[Target, Any]:
        """Return the result of *call* for each system that it works for."""
        from sushy import exceptions

        results = {}
        for target in chosen.targets:
            try:
                results[target] = call(target.identity)
            except (exceptions.SushyError, errors.CommandError) as error:
                self.blame(target.name, error)
        return results

    def table(
        self,
        chosen: Selection,
        results: Mapping[Target, tasks.Fields],
        brief: Sequence[str],
    ) -> tuple[Sequence[str], tables.Rows]:
        """Return a row for each result; those that are missing have failed."""
        found = {t: dict(zip(*results[t], strict=True)) for t in results}
        names = dict.fromkeys(
            name
            for fields in found.values()
            for name in fields
            if name != 'System'
        )
        rows = [
            (target.name, *(fields.get(name) for name in names))
            for target, fields in found.items()
        ]
        asked = len(chosen.targets)
        shown = ('System', *brief) if brief else ()
        return ('System', *names), tables.Rows(rows, asked, shown)


class OperateOnEach(waiting.WaitOption, OnEach):
    """A command that begins the same operation on each system."""

    def operate(
        self,
        parsed_args: argparse.Namespace,
        submit: Submit,
        show: Show,
        brief: Sequence[str],
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """
        Submit, wait if requested, and show the results.

        *show* gets what was created, or None, and the task.
        """
        return self.operate_on(
            self.select(parsed_args), parsed_args, submit, show, brief
        )

    def operate_on(
        self,
        chosen: Selection,
        parsed_args: argparse.Namespace,
        submit: Submit,
        show: Show,
        brief: Sequence[str],
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """As ``operate``, for systems that are chosen already."""
        if chosen.single:
            handle = submit(chosen.targets[0].identity)
            return show(*self.follow(handle, parsed_args))
        check_format(parsed_args)
        handles = self.try_each(chosen, submit)
        ended = self.follow_each(handles, parsed_args)
        results = {
            target: show(*ended[target])
            for target in chosen.targets
            if target in ended
        }
        return self.table(chosen, results, brief)

    def follow_each(
        self,
        handles: 'Mapping[Target, client.TaskHandle[Any]]',
        parsed_args: argparse.Namespace,
    ) -> 'dict[Target, tuple[Any, client.Task]]':
        """
        Wait if requested; return what was created, or None, and the task.

        Systems that fail are reported, and left out.
        """
        from sushy import exceptions

        if parsed_args.wait is None:
            return {
                target: (
                    None,
                    handle.task or self.client.task(handle.identity),
                )
                for target, handle in handles.items()
            }
        named = {handle.identity: t for t, handle in handles.items()}
        ended: dict[Target, tuple[Any, client.Task]] = {}
        labels = {identity: t.name for identity, t in named.items()}
        for outcome in self.wait_all(
            list(handles.values()), parsed_args.wait, labels
        ):
            target = named[outcome.handle.identity]
            try:
                if outcome.error:
                    raise self.with_hint(outcome.error, outcome.handle)
                task = self.client.task(outcome.handle.identity)
            except (exceptions.SushyError, errors.CommandError) as error:
                self.blame(target.name, error)
            else:
                self.warn(task, f'{target.name}: ')
                ended[target] = outcome.created, task
        return ended


def check_format(parsed_args: argparse.Namespace) -> None:
    """Refuse a format that can show one item only."""
    if getattr(parsed_args, 'formatter', '') == 'shell':
        raise errors.CommandError(
            '-f shell shows one system only; use -f json, value or csv.'
        )
