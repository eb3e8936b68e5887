# SPDX-License-Identifier: Apache-2.0
"""
Whether and how file systems are quiesced for a create.

Owns the policy: preferred, required or never.  With memory a freeze held
during the capture would come back frozen after every revert, so the file
systems are flushed: frozen and thawed at once, right before.  Disks alone are
captured while libvirt keeps the file systems frozen.
"""

from typing import Any

from oslo_config import cfg

from hawkfish_plugin import drivers, exceptions
from hawkfish_plugin.drivers.libvirt import agent, plan


def before(
    domain: Any, planned: plan.Plan, conf: cfg.ConfigOpts, job: drivers.Job
) -> drivers.Quiesce:
    """
    Do what is to be done before the capture, and say how it went.

    Raises QuiesceFailed where it is required and not possible.
    """
    if plan.power_state(domain) != drivers.ON:
        return drivers.Quiesce(drivers.NOT_NEEDED)
    if planned.quiesce == drivers.NEVER:
        return drivers.Quiesce(drivers.NOT_REQUESTED)
    seconds = conf.snapshots.quiesce_timeout
    try:
        agent.prepare(domain, seconds)
        if planned.memory:
            _flush(domain, seconds, job)
    except agent.AgentError as exc:
        return failed(domain, planned, exc, job)
    return drivers.Quiesce(drivers.QUIESCED)


def failed(
    domain: Any, planned: plan.Plan, error: Exception, job: drivers.Job
) -> drivers.Quiesce:
    """Raise where it is required, else warn and go on without."""
    if planned.quiesce == drivers.REQUIRED:
        raise exceptions.QuiesceFailed(domain.name(), error)
    job.tell('HawkFish.1.0.SnapshotQuiesceFailed', domain.name(), error)
    return drivers.Quiesce(drivers.QUIESCE_FAILED, str(error))


def _flush(domain: Any, seconds: int, job: drivers.Job) -> None:
    job.step('freeze', frozen=True)
    try:
        agent.freeze(domain)
    finally:
        # Also where the freeze failed: it may have frozen some of them.
        agent.thaw(domain, seconds, job)
