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

import libvirt
import libvirt_qemu

from hawkfish_plugin import messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import errors
from hawkfish_plugin.drivers.libvirt.domains import Domain

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
# From here on libvirt has a code for whatever an agent answers.
_CODED_SINCE = 11_003_000

# Until the agent of a guest that has just been reverted is heard again; and
# how long it takes QEMU to tell that there is one after all.
_RETURN_SECONDS, _NOTICE_SECONDS = 5.0, 0.1
_POLL_SECONDS = 0.05


class AgentError(Exception):
    """
    The agent did not do what was asked; says why.

    *unresponsive*: it was not heard at all.
    """

    def __init__(self, reason: str, unresponsive: bool = False) -> None:
        super().__init__(reason)
        self.unresponsive = unresponsive


@contextlib.contextmanager
def failures(domain: Domain) -> Iterator[None]:
    """
    Let what libvirt says of the agent leave the block as AgentError.

    The block is a call for which libvirt asks the agent of *domain*.
    """
    try:
        yield
    except libvirt.libvirtError as exc:
        code = exc.get_error_code()
        codes = _CODES
        if domain.host.version_number < _CODED_SINCE:
            codes |= {libvirt.VIR_ERR_INTERNAL_ERROR}
        if code not in codes:
            raise
        raise AgentError(
            errors.text(exc), code == libvirt.VIR_ERR_AGENT_UNRESPONSIVE
        ) from exc


def prepare(domain: Domain, seconds: int) -> None:
    """
    Set the time-out, and see that the agent answers and nothing is frozen.

    File systems that another client has frozen are left frozen, and cannot be
    frozen again.  Raises AgentError.
    """
    with failures(domain):
        domain.handle.agentSetResponseTimeout(seconds, 0)
        answer = libvirt_qemu.qemuAgentCommand(
            domain.handle,
            json.dumps({'execute': 'guest-fsfreeze-status'}),
            seconds,
            0,
        )
    if json.loads(answer)['return'] != 'thawed':
        raise AgentError('the file systems are frozen by somebody else')


def freeze(domain: Domain) -> None:
    """Freeze every file system; raises AgentError."""
    with failures(domain):
        domain.handle.fsFreeze()


def thaw(domain: Domain, seconds: int, context: contract.TaskContext) -> None:
    """Thaw what this driver has frozen, or report that it cannot."""
    try:
        domain.handle.agentSetResponseTimeout(seconds, 0)
        domain.handle.fsThaw()
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        context.add_message(messages.THAW_FAILED, errors.text(exc))


def set_clock(
    domain: Domain,
    seconds: int,
    context: contract.TaskContext,
    expected: bool,
) -> None:
    """
    Set the guest's clock to the present, or report that it is behind.

    *seconds* is how long the agent may take to answer; it is not waited for
    to come back where none is *expected*.
    """
    patience = _RETURN_SECONDS if expected else _NOTICE_SECONDS
    deadline = time.monotonic() + patience
    while True:
        try:
            with failures(domain):
                domain.handle.agentSetResponseTimeout(seconds, 0)
                domain.set_time(int(time.time()))
            return
        except AgentError as exc:
            if time.monotonic() > deadline or not exc.unresponsive:
                context.add_message(messages.CLOCK_NOT_SET, domain.name, exc)
                return
        time.sleep(_POLL_SECONDS)
