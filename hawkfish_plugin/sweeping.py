# SPDX-License-Identifier: Apache-2.0
"""
Files that interrupted operations have left behind.

Owns the search for them when the process that runs the workers starts.  Files
that a task could not remove are removed now, if only this service gives their
names and nothing needs them; files that are merely named like those of a
snapshot are logged and never removed: somebody may be using them.
"""

import logging
import threading
from collections.abc import Callable, Collection

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import sharing
from hawkfish_plugin.supervision import Finished, Supervisor
from hawkfish_plugin.tasks.reading import TaskReader

LOG = logging.getLogger(__name__)

_RETRY_SECONDS = 60.0


class Sweeping:
    """
    The files of the hypervisor that *driver* reaches.

    *kept* are those that no system has and that somebody wants all the same.
    """

    def __init__(
        self,
        driver: sharing.LeavesFiles,
        task_table: TaskReader,
        supervisor: Supervisor,
        kept: Callable[[], Collection[str]],
    ) -> None:
        self._driver = driver
        self._tasks = task_table
        self._supervisor = supervisor
        self._kept = kept

    def start(self, over: threading.Event) -> None:
        """Look once, as soon as the hypervisor is there."""
        self._supervisor.repeat('sweep', lambda: self._sweep(over), over)

    def _sweep(self, over: threading.Event) -> None:
        try:
            strange = self._driver.sweep(self._noted())
            kept = {*self._kept(), *self._in_use()}
        except exceptions.HawkFishError as exc:
            LOG.debug('Not swept: %r', messages.text(exc))
            over.wait(_RETRY_SECONDS)
            return
        for path in strange:
            if path in kept:
                continue
            LOG.warning(
                'The file %r is named like one of a snapshot, but no domain '
                'and no snapshot has it',
                path,
            )
        raise Finished

    def _in_use(self) -> set[str]:
        """The folders of what is being exported, or was when it died."""
        return {
            task.journal['folder']
            for task in self._tasks.list()
            if task.active and 'folder' in task.journal
        }

    def _noted(self) -> set[str]:
        """The files that tasks have said they could not remove."""
        return {
            args[0]
            for task in self._tasks.list()
            for key, args in task.messages
            if key in (messages.CLEANUP_FAILED, messages.CLEANUP_UNDECIDED)
        }
