# SPDX-License-Identifier: Apache-2.0
"""
Delete: merge the data of a snapshot into its backing files.

Steps: ``prepare`` notes the other files, ``merge`` is the libvirt call,
``finish`` removes what libvirt left.  An interrupted merge is begun again,
which libvirt allows; until it has succeeded the snapshot is damaged.
"""

import contextlib
import dataclasses

import libvirt

from hawkfish_plugin import exceptions, tree
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    backing,
    connections,
    domain_jobs,
    errors,
    filenames,
    leftovers,
    merging,
    parsed,
    removable_media,
    revert_disks,
    snapshot_xml,
    snapshots,
    space,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.journals import DeleteJournal

# libvirt says these before it has touched any data.
_REFUSALS = frozenset(
    (
        libvirt.VIR_ERR_INVALID_ARG,
        libvirt.VIR_ERR_OPERATION_INVALID,
        libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
        libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
        libvirt.VIR_ERR_OPERATION_TIMEOUT,
        libvirt.VIR_ERR_NO_DOMAIN,
        libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT,
    )
)
_NEVER_RAN = libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_FAILED


def check(domain: Domain, name: str) -> xml.Element:
    """Raise what prevents the delete of *name*; returns its XML."""
    root = snapshots.describe(domain, name)
    domain.check_no_managed_save()
    if domain.is_paused:
        raise exceptions.SystemPaused(domain.name)
    # Asked right before the merge: some of it would crash libvirtd.
    records = snapshots.tree(domain)
    referrers = merging.referrers(records).get(name)
    if referrers:
        raise exceptions.SnapshotReferenced(name, ', '.join(referrers))
    snapshot = parsed.parse(root)
    # What has no child and is not current, libvirt merges with nothing.
    if any(
        s.parent == name or (s.current and s.name == name) for s in records
    ):
        space.check(space.for_delete(domain.host.storage, snapshot))
    else:
        _check_not_below(domain, snapshot)
    return root


def _check_not_below(domain: Domain, snapshot: parsed.ParsedSnapshot) -> None:
    """
    Raise where the domain would lose files that it is backed by.

    libvirt merges nothing where it takes a snapshot for one of another
    branch, but removes its files; and it takes every leaf for that where no
    snapshot is current, as after an undefine and a redefinition.
    """
    captured = {disk.path for disk in snapshot.disks if disk.path}
    definition = domain.definition()
    # libvirt may have written down no chain for a domain that is off.
    tops = {disk.path for disk in xml.disks(definition) if disk.path}
    chains = domain.host.storage.chains(tops)
    in_use = captured & chains.union(xml.files(definition))
    if in_use:
        raise exceptions.SnapshotBelowSystem(snapshot.record.name, min(in_use))


def run(
    hypervisor: connections.Hypervisor,
    uuid: str,
    name: str,
    context: contract.TaskContext,
) -> None:
    with hypervisor.domain(uuid, 'delete') as domain:
        root = check(domain, name)
        # An earlier merge of it may have been interrupted.
        noted = context.recall(DeleteJournal)
        snapshot = parsed.parse(root)
        journal = dataclasses.replace(
            noted,
            # libvirt removes the overlays; before 9.1 it leaves the memory.
            files=snapshot.own_files,
            overlays=_overlays(domain, snapshot),
        )
        context.step('prepare', journal)
        whole = xml.parse(xml.render(root))
        # libvirt would merge the overlay of a drive that may be long gone,
        # and refuse to delete the snapshot for ever.
        if snapshot.external:
            removable_media.eject(domain, root)
            snapshot = parsed.parse(root)
        context.step('merge', contract.DeleteJournal(merging=True))
        try:
            _merge(domain, name, noted.merging)
        except (libvirt.libvirtError, exceptions.MergeFailed):
            if not domain.host.is_alive:
                raise
            if not _is_ahead(domain, snapshot):
                _restore_media(domain, whole)
                raise
            _forget(domain, snapshot, context)
        context.step('finish', durable=False)
        _remove_files(domain, journal, context)


def settle(
    hypervisor: connections.Hypervisor,
    uuid: str,
    name: str,
    context: contract.TaskContext,
) -> None:
    domain_jobs.until_idle(hypervisor, uuid, context)
    with hypervisor.domain(uuid, 'delete') as domain:
        if not snapshots.exists(domain, name):
            _remove_files(domain, context.recall(DeleteJournal), context)
            return
    run(hypervisor, uuid, name, context)


def _overlays(domain: Domain, snapshot: parsed.ParsedSnapshot) -> list[str]:
    """Those of the disks that *domain* has."""
    present = _targets(domain)
    return [
        path
        for target, path in snapshot.external.items()
        if path and target in present
    ]


def _targets(domain: Domain) -> set[str]:
    return {disk.target for disk in xml.disks(domain.definition())}


def _merge(domain: Domain, name: str, again: bool) -> None:
    off = not domain.is_active
    try:
        snapshots.find(domain, name).delete()
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        # QEMU merges, also what belongs to a system that is off.
        untouched = exc.get_error_code() in _REFUSALS or (
            off and domain.state() == _NEVER_RAN
        )
        if untouched and not again:
            raise
        raise exceptions.MergeFailed(name, errors.text(exc)) from exc


def _restore_media(domain: Domain, whole: xml.Element) -> None:
    """Let a snapshot that was not deleted have its media again."""
    if snapshots.exists(domain, whole.findtext('name', '')):
        removable_media.restore(domain, whole)


# A merge that libvirt can no longer end --------------------------------------


def _is_ahead(domain: Domain, snapshot: parsed.ParsedSnapshot) -> bool:
    """
    Whether the files below the system are no longer those libvirt knows.

    A QEMU that died in a merge may have ended it, and libvirt not have
    noticed; it can then merge nothing of that snapshot, or of the next.
    """
    records = snapshots.tree(domain)
    on_branch = {s.name for s in records if s.current}
    if snapshot.record.name not in on_branch | tree.ancestors(records):
        return False
    # libvirt refuses where one is detached; its data may be needed yet.
    if snapshot.external.keys() - _targets(domain):
        return False
    storage = domain.host.storage
    now = [
        path
        for disk in xml.disks(domain.definition())
        if disk.target in snapshot.external and (path := storage.path_of(disk))
    ]
    captured = {disk.path for disk in snapshot.disks if disk.path}
    return not snapshot.overlays | captured <= storage.chains(now)


def _forget(
    domain: Domain,
    snapshot: parsed.ParsedSnapshot,
    context: contract.TaskContext,
) -> None:
    """
    Take a snapshot off libvirt's list, and leave its disks where they are.

    libvirt would refuse to delete it for ever.  The system keeps the backing
    files that it has, and nothing is lost.
    """
    name, host = snapshot.record.name, domain.host
    snapshots.find(domain, name).delete(
        libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY
    )
    context.add_message('HawkFish.1.0.SnapshotNotMerged', name, domain.name)
    _end_merge(domain, snapshot.record.parent)
    unused = [
        path
        for path in snapshot.overlays | snapshot.paths
        if filenames.is_ours(path)
        and not backing.backs_any(host.storage, path)
    ]
    leftovers.remove(host, unused, context)


def _end_merge(domain: Domain, parent: str | None) -> None:
    """Let the parent be deleted again, which was being merged into."""
    if parent and snapshots.exists(domain, parent):
        root = snapshots.describe(domain, parent)
        if snapshot_xml.end_merge(root):
            snapshots.redefine(domain, root)


def _remove_files(
    domain: Domain, journal: DeleteJournal, context: contract.TaskContext
) -> None:
    leftovers.remove(domain.host, journal.files, context)
    # Those that libvirt has not removed, as QEMU died right after the merge.
    leftovers.remove_discarded(domain, journal.overlays, context)
    # A revert does it again.
    with contextlib.suppress(
        libvirt.libvirtError, exceptions.SnapshotNotFound
    ):
        revert_disks.correct(domain)
