# SPDX-License-Identifier: Apache-2.0
"""
The stock emulator over a real hypervisor, which obeys orders.

A test can let it be killed, or wait, at a step of an operation: the
emulator's configuration file is Python, and ours wraps the journal of the
tasks in it.
"""

import contextlib
import pathlib
from collections.abc import Iterator

from tests.served import ACTIVATE, Served, message_ids
from tests.waiting import wait_for

# The file named here says what to do, and at which step of which operation:
# "before", "after" or "during=SECONDS" to die, "sleep=SECONDS" to wait,
# "kill=SECONDS" to kill the process that a fourth word names, a bit later.
OBEY = '''
import os as _os, threading as _threading, time as _time
from hawkfish_plugin.tasks.context import Context as _Context

def _obey(order, _step=_Context.step):
    def step(self, name, noted=None, durable=True):
        try:
            words = open(order).read().split()
        except FileNotFoundError:
            words = [None, None, None]
        when, operation, where = words[:3]
        here = (operation, where) == (self.task.operation, name)
        if here:
            _os.unlink(order)
        if here and when == 'before':
            _os.kill(_os.getpid(), 9)
        _step(self, name, noted, durable)
        if here and when == 'after':
            _os.kill(_os.getpid(), 9)
        if here and '=' in when:
            seconds = float(when.partition('=')[2])
        if here and when.startswith('sleep'):
            _time.sleep(seconds)
        if here and when.startswith(('during', 'kill')):
            victim = int(words[3]) if words[3:] else _os.getpid()
            def kill():
                _time.sleep(seconds)
                _os.kill(victim, 9)
            _threading.Thread(target=kill).start()
    _Context.step = step

_obey({order!r})

def _commit_slowly(order):
    import libvirt
    commit = libvirt.virDomain.blockCommit
    def slowly(self, disk, base, top, bandwidth=0, flags=0):
        if _os.path.exists(order):
            bandwidth = 1
        return commit(self, disk, base, top, bandwidth, flags)
    libvirt.virDomain.blockCommit = slowly

_commit_slowly({slowly!r})
'''


class Emulator(Served):
    """A ``sushy-emulator`` process over *uri*, with the plugin."""

    def __init__(
        self,
        folder: pathlib.Path,
        uri: str,
        config: str = '',
        **environment: str,
    ) -> None:
        self._order = folder / 'order'
        self._slowly = folder / 'slowly'
        preamble = ACTIVATE + OBEY.replace(
            '{order!r}', repr(str(self._order))
        ).replace('{slowly!r}', repr(str(self._slowly)))
        super().__init__(folder, uri, config, preamble, **environment)

    def order(
        self, when: str, operation: str, step: str, victim: int | str = ''
    ) -> None:
        """Let the process kill itself, or wait, when it is at a step."""
        unfinished = self._order.with_suffix('.unfinished')
        unfinished.write_text(f'{when} {operation} {step} {victim}')
        unfinished.rename(self._order)

    @contextlib.contextmanager
    def merging_slowly(self) -> Iterator[None]:
        """Let what begins to be merged meanwhile take a second a MiB."""
        self._slowly.touch()
        try:
            yield
        finally:
            self._slowly.unlink()

    def wait_ordered(self) -> None:
        """Wait until the operation is at the step of the last order."""
        wait_for(
            lambda: not self._order.exists(),
            lambda: f'the step of {self._order.read_text()!r}: {self.log()}',
        )


# What tests that are kept elsewhere call it.
told = message_ids


def last_messages(emulator: Served) -> list[str]:
    """The keys of the messages of the newest task."""
    return [
        message['MessageId'].rpartition('.')[2]
        for message in emulator.tasks()[-1]['Messages']
    ]
