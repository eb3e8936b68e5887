# SPDX-License-Identifier: Apache-2.0
"""
The QEMU guest agent.

Owns flushing and thawing file systems and setting the guest's clock.  The
agent's time-out is set before every command: without it an agent that hangs
blocks libvirt for ever, and only destroying the guest ends that.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import libvirt
import libvirt_qemu

from hawkfish_plugin.drivers import contract

# Not in libvirt-python: VIR_ERR_AGENT_COMMAND_TIMEOUT and _FAILED.
_CODES = frozenset(
    (
        libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
        libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
        libvirt.VIR_ERR_AGENT_UNSYNCED,
        112,
        113,
    )
)

# Until the agent of a guest that has just been reverted is heard again.
_RETURN_SECONDS = 5.0
_POLL_SECONDS = 0.2


class AgentError(Exception):
    """The agent did not do what was asked; says why."""


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Let what libvirt says of the agent leave the block as AgentError."""
    try:
        yield
    except libvirt.libvirtError as exc:
        text = str(exc.get_error_message())
        # Older releases have no code of their own for it.
        if exc.get_error_code() in _CODES or 'agent' in text:
            raise AgentError(text) from exc
        raise


def prepare(domain: Any, seconds: int) -> None:
    """
    Set the time-out, and see that the agent answers and nothing is frozen.

    What somebody else has frozen is not ours to thaw, and cannot be frozen
    again. Raises AgentError.
    """
    with failures():
        domain.agentSetResponseTimeout(seconds, 0)
        answer = libvirt_qemu.qemuAgentCommand(
            domain,
            json.dumps({'execute': 'guest-fsfreeze-status'}),
            seconds,
            0,
        )
    if json.loads(answer)['return'] != 'thawed':
        raise AgentError('the file systems are frozen by somebody else')


def freeze(domain: Any) -> None:
    """Freeze every file system; raises AgentError."""
    with failures():
        domain.fsFreeze()


def thaw(domain: Any, seconds: int, context: contract.TaskContext) -> None:
    """Thaw what we have frozen, or tell that it cannot be done."""
    try:
        with failures():
            domain.agentSetResponseTimeout(seconds, 0)
            domain.fsThaw()
    except (AgentError, libvirt.libvirtError) as exc:
        if not domain.connect().isAlive():
            raise
        context.tell('HawkFish.1.0.ThawFailed', exc)


def set_clock(
    domain: Any, seconds: int, context: contract.TaskContext
) -> None:
    """Set the guest's clock to the present, or tell that it is behind."""
    deadline = time.monotonic() + _RETURN_SECONDS
    while True:
        try:
            with failures():
                domain.agentSetResponseTimeout(seconds, 0)
                domain.setTime({'seconds': int(time.time()), 'nseconds': 0})
            return
        except AgentError as exc:
            if time.monotonic() > deadline or not _may_return(exc):
                context.tell('HawkFish.1.0.ClockNotSet', domain.name(), exc)
                return
        time.sleep(_POLL_SECONDS)


def _may_return(error: AgentError) -> bool:
    return 'not connected' in str(error)
