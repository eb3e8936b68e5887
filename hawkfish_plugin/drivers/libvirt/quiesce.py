# SPDX-License-Identifier: Apache-2.0
"""
Whether and how file systems are quiesced for a create.

Owns the policy: preferred, required or never.  With memory a freeze held
during the capture would come back frozen after every revert, so the file
systems are flushed: frozen and thawed at once, right before.  Disks alone are
captured while libvirt keeps the file systems frozen; in the common pause of a
group, in which no agent answers, they are frozen before and thawed after it.
"""

import contextlib
from collections.abc import Iterator
from typing import Protocol

from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import agent, journals
from hawkfish_plugin.drivers.libvirt.domains import Domain


class Wanted(Protocol):
    """
    What is captured: with its *memory*, or its disks alone.

    *quiesce* is one of contract.QUIESCE_MODES.
    """

    @property
    def memory(self) -> bool: ...

    @property
    def quiesce(self) -> str: ...


def before(
    domain: Domain,
    planned: Wanted,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> contract.Quiesce:
    """
    Do what is to be done before the capture, and say how it went.

    Raises QuiesceFailed where it is required and not possible.
    """
    if domain.power_state != contract.ON:
        return contract.Quiesce(contract.NOT_NEEDED)
    if planned.quiesce == contract.NEVER:
        return contract.Quiesce(contract.NOT_REQUESTED)
    seconds = conf.snapshots.quiesce_timeout
    try:
        agent.prepare(domain, seconds)
        if planned.memory:
            _flush(domain, seconds, context)
    except agent.AgentError as exc:
        return failed(domain, planned, exc, context)
    return contract.Quiesce(contract.QUIESCED)


def failed(
    domain: Domain,
    planned: Wanted,
    error: Exception,
    context: contract.TaskContext,
) -> contract.Quiesce:
    """Raise where it is required, else warn and go on without."""
    if planned.quiesce == contract.REQUIRED:
        raise exceptions.QuiesceFailed(domain.name, error)
    context.add_message(messages.QUIESCE_FAILED, domain.name, error)
    return contract.Quiesce(contract.QUIESCE_FAILED, str(error))


def _flush(
    domain: Domain, seconds: int, context: contract.TaskContext
) -> None:
    context.step('freeze', journals.HoldNote(frozen=True))
    try:
        agent.freeze(domain)
    finally:
        # Also where the freeze failed: it may have frozen some of them.
        agent.thaw(domain, seconds, context)


@contextlib.contextmanager
def frozen(
    domain: Domain,
    planned: Wanted,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> Iterator[contract.Quiesce]:
    """
    Keep the file systems frozen in the block; says how that went.

    Raises QuiesceFailed where it is required and not possible.
    """
    context.step('freeze', journals.HoldNote(frozen=True))
    try:
        try:
            agent.freeze(domain)
        except agent.AgentError as exc:
            yield failed(domain, planned, exc, context)
        else:
            yield contract.Quiesce(contract.QUIESCED)
    finally:
        agent.thaw(domain, conf.snapshots.quiesce_timeout, context)
