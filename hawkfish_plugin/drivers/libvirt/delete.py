# SPDX-License-Identifier: Apache-2.0
"""
Delete: the files of a snapshot are merged into those below them, or removed.

Steps: ``prepare`` notes the other files, ``merge`` is QEMU's work, ``finish``
lets nothing name what was merged, and removes it.  libvirt deletes no more
than its own note of an external snapshot: it would merge without a deadline,
count on a chain that others may have changed, and unlink files unseen.

An interrupted merge is begun again; until it has succeeded the snapshot is
damaged, and everything else reads what it always did.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import libvirt

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    backup_jobs,
    commits,
    connections,
    delete_finish,
    delete_internal,
    domain_jobs,
    layers,
    merging,
    offline,
    parsed,
    snapshots,
    space,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.journals import DeleteJournal
from hawkfish_plugin.drivers.libvirt.ledger import Ledger

_STOPPED = exceptions.OperationCancelled, exceptions.OperationTimedOut
# What takes libvirtd away twice does so again.
_MOST_LOSSES = 2


def check(domain: Domain, name: str, forced: bool, ledger: Ledger) -> None:
    """
    Raise what prevents the delete of *name*.

    A *forced* one minds no disk that another one has replaced.
    """
    snapshot = _check_system(domain, name)
    if snapshot.record.external:
        # The delete itself looks again.
        cached = contract.Freshness.CACHED
        planned = layers.plan(domain, name, {}, ledger, cached)
        for target in () if forced else planned.replaced:
            raise exceptions.DiskReplaced(
                target, name, planned.kept[target][0]
            )
        _check_merges(domain, planned, False)


def _check_system(domain: Domain, name: str) -> parsed.ParsedSnapshot:
    snapshot = snapshots.read(domain, name)
    domain.check_no_managed_save()
    if domain.is_paused:
        raise exceptions.SystemPaused(domain.name)
    referrers = merging.referrers(snapshots.tree(domain)).get(name)
    if referrers:
        raise exceptions.SnapshotReferenced(name, ', '.join(referrers))
    return snapshot


def _check_merges(domain: Domain, planned: layers.Plan, again: bool) -> None:
    """Raise where they cannot be; *again*: their jobs may go on already."""
    storage = domain.host.storage
    merges = [(merge.base, merge.top) for merge in planned.merges]
    space.check(space.for_delete(storage, merges))
    for merge in planned.merges if domain.was_active and not again else ():
        if domain.block_job(merge.target):
            raise exceptions.BlockJobActive(merge.target)


class Deletes:
    """Deletes at *hypervisor*; *deadline* is how many seconds one may take."""

    def __init__(
        self,
        hypervisor: connections.Hypervisor,
        ledger: Ledger,
        deadline: int,
    ) -> None:
        self._hypervisor = hypervisor
        self._ledger = ledger
        self._deadline = deadline

    def run(self, uuid: str, name: str, context: contract.TaskContext) -> None:
        with self._domain(uuid, name, context) as domain:
            self._delete(domain, name, context)

    def settle(
        self,
        uuid: str,
        name: str,
        check: Callable[[Domain], None],
        context: contract.TaskContext,
    ) -> None:
        """*check* raises what prevents one of which nothing has begun."""
        domain_jobs.until_idle(self._hypervisor, uuid, context)
        with self._domain(uuid, name, context) as domain:
            if snapshots.exists(domain, name):
                if not context.recall(DeleteJournal).merging:
                    check(domain)
                self._delete(domain, name, context)
            else:
                delete_finish.remove_files(domain, context)

    def resume(
        self,
        uuid: str,
        name: str,
        check: Callable[[Domain], None],
        context: contract.TaskContext,
    ) -> None:
        """As ``settle``, of a delete that another task has left."""
        with self._hypervisor.domain(uuid, contract.DELETE) as domain:
            backup_jobs.check_free(domain)
        # How often libvirtd has left that one does not count for this one.
        noted = context.recall(DeleteJournal)
        context.step(context.last_step, dataclasses.replace(noted, losses=0))
        self.settle(uuid, name, check, context)

    @contextlib.contextmanager
    def _domain(
        self, uuid: str, name: str, context: contract.TaskContext
    ) -> Iterator[Domain]:
        """The domain; libvirtd may go away so many times and no more."""
        with self._hypervisor.domain(
            uuid, contract.DELETE, context.check_active
        ) as domain:
            try:
                yield domain
            except (libvirt.libvirtError, exceptions.HypervisorAway) as exc:
                if not domain.host.is_alive:
                    _count_loss(name, context, exc)
                raise

    def _delete(
        self, domain: Domain, name: str, context: contract.TaskContext
    ) -> None:
        noted = context.recall(DeleteJournal)
        snapshot = _check_system(domain, name)
        # One that was left behind has the files open.
        offline.end(domain)
        if not snapshot.record.external:
            delete_internal.run(domain, snapshot, context)
            return
        planned = layers.plan(
            domain,
            name,
            _tried(domain, context),
            self._ledger,
            useless=[*noted.overlays, *noted.former],
        )
        _check_merges(domain, planned, noted.merging)
        former = snapshot.paths.difference(*planned.kept.values())
        merged = [merge.top for merge in (*planned.merges, *planned.merged)]
        journal = dataclasses.replace(
            noted,
            files=snapshot.own_files,
            # In a purge, with what is left of those before.
            overlays=_together(planned.unneeded, noted.overlays),
            former=_together(noted.former, former, merged),
            losses=noted.losses if noted.merging else 0,
        )
        # Where anything is to be merged, that is noted before all else.
        context.step('prepare', journal, durable=not planned.merges)
        if context.cancelled:
            raise exceptions.OperationCancelled(contract.DELETE)
        if planned.merges:
            self._merge(domain, name, planned, context)
        context.step('finish', durable=False)
        delete_finish.run(domain, name, planned, context)
        delete_finish.remove_files(domain, context)

    def _merge(
        self,
        domain: Domain,
        name: str,
        planned: layers.Plan,
        context: contract.TaskContext,
    ) -> None:
        before = context.recall(DeleteJournal)
        noted = dataclasses.replace(
            before,
            merging=True,
            tops={merge.target: merge.top for merge in planned.merges},
            above={
                merge.target: merge.above
                for merge in planned.merges
                if merge.above
            },
            domain_id=domain.id,
        )
        context.step('merge', noted)
        work: commits.Commits | None = None
        was_active = domain.is_active
        try:
            with _merger(domain, planned) as (qemu, merges):
                work = commits.Commits(qemu, name, merges)
                work.run(context, self._deadline)
        except (exceptions.HawkFishError, libvirt.libvirtError) as exc:
            if not (work and work.begun):
                self._untouched(domain, before, context)
            elif isinstance(exc, _STOPPED):
                context.add_message(messages.MERGE_STOPPED, name)
            if work and was_active:
                delete_finish.leave_out(
                    domain, name, planned, work.pivoted, context
                )
            raise

    def _untouched(
        self,
        domain: Domain,
        before: DeleteJournal,
        context: contract.TaskContext,
    ) -> None:
        """Note that nothing is damaged, as far as it was not *before*."""
        if domain.host.is_alive:
            context.step('merge', before)


def _together(*paths: Iterable[str]) -> list[str]:
    return [*dict.fromkeys(itertools.chain(*paths))]


def _tried(
    domain: Domain, context: contract.TaskContext
) -> dict[str, tuple[str, str | None]]:
    """
    What was being merged before the delete was interrupted, by target.

    Each file with what stood on it.
    """
    noted = context.recall(DeleteJournal)
    # QEMU lets what stands on a merged file stand on the one below; but only
    # the QEMU that has merged it knows of one that the guest wrote to.
    same = domain.is_active and noted.domain_id == domain.id
    known = same or context.last_step == 'finish'
    return {
        target: (top, noted.above.get(target))
        for target, top in noted.tops.items()
        if noted.merging and (target in noted.above or known)
    }


@contextlib.contextmanager
def _merger(
    domain: Domain, planned: layers.Plan
) -> Iterator[tuple[Domain, Sequence[layers.Merge]]]:
    """Whose QEMU merges, and what its disks are called."""
    if domain.is_active:
        yield domain, planned.merges
        return
    with offline.merger(domain, planned.merges) as other:
        yield other


def _count_loss(
    name: str, context: contract.TaskContext, error: Exception
) -> None:
    """Raise where libvirtd has gone away too often."""
    noted = context.recall(DeleteJournal)
    losses = noted.losses + 1
    if context.last_step:
        context.step(
            context.last_step, dataclasses.replace(noted, losses=losses)
        )
    if losses < _MOST_LOSSES:
        return
    said = f'libvirtd went away {losses} times'
    if noted.merging:
        raise exceptions.MergeFailed(name, said) from error
    raise exceptions.OperationFailed(contract.DELETE, said) from error
