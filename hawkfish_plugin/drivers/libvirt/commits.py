# SPDX-License-Identifier: Apache-2.0
"""
Block commits: QEMU merges files into those below them.

Owns their progress, their end, and their being stopped: at the deadline or
the cancelling of a task.  Whenever one is stopped or interrupted, the system
reads what it did before, and so does whatever stands on the files that were
to be merged; the files below may be partly overwritten.
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import errors, qmp, xml
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.layers import Merge

T = TypeVar('T')

_COMMIT = libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT
_ACTIVE_COMMIT = libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT

# Small ones are over in a moment; the task table need not hear of each look.
_FIRST_POLL_SECONDS, _POLL_SECONDS = 0.01, 0.25


def check_job(
    domain: Domain, target: str, job: Mapping[str, int], base: str
) -> None:
    """
    Raise BlockJobActive where *job*, that of a disk, is somebody else's.

    It may be a backup's copy, which must not be ended.  Ours merges what the
    guest writes to into the file *base*.
    """
    mirror = xml.mirrors(domain.definition()).get(target)
    into = mirror and domain.host.storage.file_of(mirror)
    if job['type'] != _ACTIVE_COMMIT or into != base:
        raise exceptions.BlockJobActive(target)


def _check_job_below(
    domain: Domain, merge: Merge, job: Mapping[str, int]
) -> None:
    """The same of one that merges below what the guest writes to."""
    if job['type'] != _COMMIT or _top_of_job(domain, merge.target) != (
        merge.top
    ):
        raise exceptions.BlockJobActive(merge.target)


def _top_of_job(domain: Domain, target: str) -> str | None:
    """The file that the commit of a disk merges; libvirt does not tell it."""
    nodes = {
        node['node-name']: qmp.plain(node['file'])
        for node in qmp.listed(domain, 'query-named-block-nodes')
    }
    # libvirt names the job by the disk and by the node of that file.
    prefix = f'commit-{target}-'
    names = [job['device'] for job in qmp.listed(domain, 'query-block-jobs')]
    return next(
        (
            nodes.get(name.removeprefix(prefix))
            for name in names
            if name.startswith(prefix)
        ),
        None,
    )


class Commits:
    """
    The *merges* for the snapshot *name*, in the QEMU of *domain*.

    ``begun``: any of them; ``pivoted`` are those after which the guest writes
    to the base already.
    """

    def __init__(
        self, domain: Domain, name: str, merges: Sequence[Merge]
    ) -> None:
        self._domain = domain
        self._name = name
        self._merges = merges
        self._running: list[Merge] = []
        self.begun = False
        self.pivoted: list[Merge] = []

    def run(self, context: contract.TaskContext, deadline: int) -> None:
        """
        Carry them out; *deadline* in seconds is that of the task.

        Jobs that an interrupted try has left are taken over.  Raises
        MergeFailed, OperationCancelled, OperationTimedOut, and libvirtError
        where none has begun.
        """
        # From here on what is asked is what becomes of them.
        self._domain.host.moments.changing()
        try:
            for merge in self._merges:
                self._begin(merge)
            self._wait(context, deadline)
            self._pivot()
        except BaseException:
            self._abort()
            raise

    def _begin(self, merge: Merge) -> None:
        job = self._domain.block_job(merge.target)
        if job:
            if merge.above:
                _check_job_below(self._domain, merge, job)
            else:
                check_job(self._domain, merge.target, job, merge.base)
        else:
            base, top = self._indices(merge)
            # Also of what the guest writes to, so that libvirt refuses where
            # somebody has made a snapshot since.
            self._domain.block_commit(
                merge.target, base, top, active=merge.above is None
            )
        self._running.append(merge)
        self.begun = True

    def _indices(self, merge: Merge) -> tuple[str, str]:
        """What libvirt calls the base and the top of *merge*."""
        for (top, upper), (base, lower) in itertools.pairwise(
            self._chain(merge)
        ):
            if (upper, lower) == (merge.top, merge.base):
                return f'{merge.target}[{base}]', f'{merge.target}[{top}]'
        raise exceptions.OperationFailed(
            contract.DELETE, f'{merge.top!r} is not above {merge.base!r}'
        )

    def _chain(self, merge: Merge) -> Sequence[tuple[str | None, str | None]]:
        """What libvirt calls each file of the disk, and its path."""
        chains = xml.chains(self._domain.definition())
        file_of = self._domain.host.storage.file_of
        return [
            # libvirt names a volume by its pool, and not by its path.
            (source.index, file_of(source))
            for source in chains.get(merge.target, ())
        ]

    def _wait(self, context: contract.TaskContext, deadline: int) -> None:
        """Until all have ended, or wait for the pivot."""
        wait, told = _FIRST_POLL_SECONDS, time.monotonic()
        while True:
            done = [self._look(merge) for merge in self._merges]
            if all(share == 1 for share in done):
                return
            if time.monotonic() - told > _POLL_SECONDS:
                told = time.monotonic()
                context.progress(int(100 * sum(done) / len(done)))
                if context.cancelled:
                    raise exceptions.OperationCancelled(contract.DELETE)
                if context.overdue:
                    raise exceptions.OperationTimedOut(
                        contract.DELETE, deadline
                    )
            time.sleep(wait)
            wait = min(2 * wait, _POLL_SECONDS)

    def _look(self, merge: Merge) -> float:
        """How much of *merge* is done, from 0 to 1; 1 is ready to end."""
        job = self._job(merge)
        if job:
            if merge.above is None and self._may_pivot(merge, job):
                return 1
            return min(0.99, job['cur'] / max(1, job['end']))
        if merge.above is None or not self._is_merged(merge):
            raise exceptions.MergeFailed(
                self._name, 'libvirt has ended its block job early'
            )
        if merge in self._running:
            self._running.remove(merge)
        return 1

    def _job(self, merge: Merge) -> Mapping[str, int]:
        return self._ask(lambda: self._domain.block_job(merge.target))

    def _may_pivot(self, merge: Merge, job: Mapping[str, int]) -> bool:
        return self._ask(lambda: self._domain.may_pivot(merge.target, job))

    def _is_merged(self, merge: Merge) -> bool:
        """Whether what was above *merge* stands on its base now."""
        chain = self._ask(lambda: self._chain(merge))
        paths = [path for _, path in chain]
        return (merge.above, merge.base) in itertools.pairwise(paths)

    def _ask(self, question: Callable[[], T]) -> T:
        """Tell a QEMU that is gone from a hypervisor that is."""
        try:
            return question()
        except libvirt.libvirtError as exc:
            self._domain.host.raise_if_lost(exc)
            raise exceptions.MergeFailed(
                self._name, f'its block job has ended: {errors.text(exc)}'
            ) from exc

    def _pivot(self) -> None:
        for merge in self._merges:
            if merge.above is None:
                self._end(merge.target)
                self._running.remove(merge)
                self.pivoted.append(merge)

    def _end(self, target: str) -> None:
        self._ask(lambda: self._domain.block_job_pivot(target))

    def _abort(self) -> None:
        for merge in self._running:
            # It may have ended at this very moment, or QEMU with it.
            with contextlib.suppress(
                libvirt.libvirtError, exceptions.NotAnswering
            ):
                self._domain.block_job_abort(merge.target)
