# SPDX-License-Identifier: Apache-2.0
"""
The jobs that libvirt has of a domain, watched from another connection.

Owns the progress, the cancelling and the deadline of a call that blocks, and
the waiting for a call whose caller has died.
"""

import contextlib
import math
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import libvirt

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import connections
from hawkfish_plugin.drivers.libvirt.domains import Domain

_LOOK_SECONDS = 0.2
# A save of little memory is over before the next look.
_POLL_SECONDS = 0.02
_IDLE_SECONDS = 0.5
# What libvirt only has to finish is over long before.
_TELL_SECONDS = 10.0
_SNAPSHOT = libvirt.VIR_DOMAIN_JOB_OPERATION_SNAPSHOT
_BACKUP = libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP


class Watch:
    """Why a watched job was aborted, if it was."""

    cancelled = False
    overdue = False


@contextlib.contextmanager
def watched(
    hypervisor: connections.Hypervisor,
    uuid: str,
    context: contract.TaskContext,
) -> Iterator[Watch]:
    """
    Report the progress of the domain's job while the block runs.

    The job is aborted when the task is cancelled or overdue.
    """
    watch, done = Watch(), threading.Event()
    thread = threading.Thread(
        target=_watch,
        args=(hypervisor, uuid, context, watch, done),
        name='hawkfish-watch',
        daemon=True,
    )
    thread.start()
    try:
        yield watch
    finally:
        done.set()
        thread.join()


def _watch(
    hypervisor: connections.Hypervisor,
    uuid: str,
    context: contract.TaskContext,
    watch: Watch,
    done: threading.Event,
) -> None:
    # What goes wrong here shows in the watched call as well.
    with (
        contextlib.suppress(exceptions.HypervisorAway),
        hypervisor.domain(uuid, 'watch') as domain,
    ):
        looked = time.monotonic()
        while not done.wait(_POLL_SECONDS):
            with contextlib.suppress(
                libvirt.libvirtError,
                exceptions.StateUnavailable,
                exceptions.NotAnswering,
                contract.Abandoned,
            ):
                watch.cancelled = watch.cancelled or _is_given_up(context)
                late = time.monotonic() - looked > _LOOK_SECONDS
                if watch.cancelled or late:
                    looked = time.monotonic()
                    _look(domain, context, watch)


def _is_given_up(context: contract.TaskContext) -> bool:
    """Whether the task was cancelled, or has ended."""
    try:
        return context.cancelled
    except contract.Abandoned:
        return True


def _look(domain: Domain, context: contract.TaskContext, watch: Watch) -> None:
    statistics = domain.job_statistics()
    # Another client's job may have to end before ours begins.
    if statistics.get('operation') != _SNAPSHOT:
        return
    watch.overdue = watch.overdue or context.overdue
    if watch.cancelled or watch.overdue:
        domain.abort_job()
        return
    percent = _percent(statistics)
    if percent is not None:
        context.progress(percent)


def _percent(statistics: Mapping[str, Any]) -> int | None:
    total = statistics.get('memory_total')
    if not total:
        return None
    # libvirt counts what was left out as empty in neither of the others.
    return int(100 * (1 - statistics.get('memory_remaining', 0) / total))


def until_idle(
    hypervisor: connections.Hypervisor,
    uuid: str,
    context: contract.TaskContext,
) -> None:
    """
    Wait until libvirt does nothing more for a caller that has died.

    Raises JobNotEnding where that is not so when the task is overdue, or is
    cancelled.
    """
    idle, told = 0, time.monotonic() + _TELL_SECONDS
    while idle < 2:
        with hypervisor.domain(uuid, 'settle') as domain:
            # A revert stops and starts the domain; seen twice is done.
            idle = 0 if _is_busy(domain) else idle + 1
            name = domain.name
        if idle == 0:
            if context.overdue or context.cancelled:
                raise exceptions.JobNotEnding(name)
            if time.monotonic() > told:
                context.add_message(messages.WAITING_FOR_JOB, name)
                told = math.inf
        time.sleep(_IDLE_SECONDS)


def _is_busy(domain: Domain) -> bool:
    try:
        if not domain.has_job:
            return False
        # A backup ends when the client that began it wants.
        return bool(domain.job_statistics().get('operation') != _BACKUP)
    except exceptions.NotAnswering:
        return True
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        # An inactive domain has no job.
        return False
