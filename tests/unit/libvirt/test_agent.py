# SPDX-License-Identifier: Apache-2.0
"""Which errors are the guest agent's, and how long it is waited for."""

import math
import types

import libvirt
import pytest

from hawkfish_plugin import messages
from hawkfish_plugin.drivers.libvirt import agent
from tests.contract.context import Context

OLD, NEW = 10_000_000, 11_003_000
INTERNAL = libvirt.VIR_ERR_INTERNAL_ERROR
# Not in libvirt-python: VIR_ERR_AGENT_COMMAND_FAILED.
FAILED = 113


def raised(version, code, text='agent-vm: disk full'):
    """What becomes of an error of libvirt *version* with *code*."""
    host = types.SimpleNamespace(version_number=version)
    error = libvirt.libvirtError(text)
    error.err = (code, libvirt.VIR_FROM_QEMU, text, 2, '', '', '', -1, -1)
    with pytest.raises((libvirt.libvirtError, agent.AgentError)) as caught:
        with agent.failures(types.SimpleNamespace(host=host)):
            raise error
    return caught.value


@pytest.mark.parametrize(
    'version, code, of_agent',
    [
        (NEW, libvirt.VIR_ERR_AGENT_UNRESPONSIVE, True),
        (NEW, libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, True),
        (NEW, FAILED, True),
        (NEW, INTERNAL, False),
        (OLD, INTERNAL, True),
        (OLD, libvirt.VIR_ERR_SYSTEM_ERROR, False),
        (NEW, libvirt.VIR_ERR_OPERATION_TIMEOUT, False),
    ],
)
def test_errors_are_told_by_their_codes(version, code, of_agent):
    """Whatever they say, and by what was called where there is no code."""
    error = raised(version, code)

    assert isinstance(error, agent.AgentError) == of_agent


def test_an_agent_that_may_come_back():
    """One that was not heard may be heard later; one that refused not."""
    assert raised(NEW, libvirt.VIR_ERR_AGENT_UNRESPONSIVE).unresponsive
    assert not raised(NEW, FAILED).unresponsive


class Silent:
    """A domain with a channel, whose guest has no agent."""

    name = 'node'

    def __init__(self):
        self.host = types.SimpleNamespace(version_number=NEW)
        self.handle, self.asked = self, 0

    def agentSetResponseTimeout(self, seconds, flags):
        pass

    def set_time(self, seconds):
        self.asked += 1
        error = libvirt.libvirtError('QEMU guest agent is not connected')
        code = libvirt.VIR_ERR_AGENT_UNRESPONSIVE
        error.err = (code, libvirt.VIR_FROM_QEMU, '', 2, '', '', '', -1, -1)
        raise error


def test_who_was_not_there_is_not_waited_for(monkeypatch):
    """But asked once more, in case QEMU has not told yet that it is."""
    monkeypatch.setattr(agent, '_RETURN_SECONDS', math.inf)
    domain, context = Silent(), Context()

    agent.set_clock(domain, 5, context, expected=False)

    assert domain.asked > 1
    assert [key for key, _ in context.messages] == [messages.CLOCK_NOT_SET]
