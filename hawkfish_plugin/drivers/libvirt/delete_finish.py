# SPDX-License-Identifier: Apache-2.0
"""
The end of a delete: nothing names what was merged, and the rest is removed.

Owns the step ``finish``.  Whatever it is killed in, it can be done again.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Container, Sequence

import libvirt

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    domains,
    errors,
    layers,
    leftovers,
    revert_disks,
    snapshot_xml,
    snapshots,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.journals import DeleteJournal


def run(
    domain: Domain,
    name: str,
    planned: layers.Plan,
    context: contract.TaskContext,
) -> None:
    """Take the snapshot *name* off libvirt's list."""
    root = snapshots.describe(domain, name)
    _forget_merged(domain, root, planned)
    _report(domain, name, planned, context)
    _forget(domain, name, root)
    _end_merge(domain, root.findtext('parent/name'))


def leave_out(
    domain: Domain,
    name: str,
    planned: layers.Plan,
    pivoted: Sequence[layers.Merge],
    context: contract.TaskContext,
) -> None:
    """
    Let the snapshot *name* be one of the other disks than those *pivoted*.

    The guest writes to what it held of these, and a merge of another disk has
    failed: what is left of the snapshot can be deleted later.
    """
    if not pivoted:
        return
    # It is in the middle as well where this fails.
    with errors.ignored(domain.host.connection):
        root = snapshots.describe(domain, name)
        done = dataclasses.replace(planned, merges=pivoted, merged=())
        _forget_merged(domain, root, done)
        snapshot_xml.leave_out(root, {merge.target for merge in pivoted})
        snapshots.redefine(domain, root)
        tops = {planned.of(merge.top) for merge in pivoted}
        useless = [p for p in planned.unneeded if planned.of(p) in tops]
        leftovers.discard(domain, useless, context)


def _forget(domain: Domain, name: str, root: xml.Element) -> None:
    """Let libvirt forget the snapshot *name*, and do nothing else."""
    if domain.host.rewrites_children:
        # It looks for those that have captured its overlays.
        snapshot_xml.forget_overlays(root)
        snapshots.redefine(domain, root)
    try:
        # The system gets its parent as well.
        snapshots.forget(domain, name)
    except libvirt.libvirtError:
        # It complains of later ones without one of its disks, and goes on.
        if snapshots.exists(domain, name):
            raise


def _forget_merged(
    domain: Domain, root: xml.Element, planned: layers.Plan
) -> None:
    """Let neither the domain nor a snapshot name the files that are merged."""
    merged, of = [*planned.merges, *planned.merged], planned.of
    bases = {
        xml.target_of(disk): disk
        for disk in root.findall('domain/devices/disk')
    }

    def change(disks: Sequence[xml.Element]) -> bool:
        changed = [
            xml.merge_file(disks, one.top, one.above, bases[one.target], of)
            for one in merged
        ]
        return any(changed)

    if domain.is_persistent:
        definition = domain.definition(inactive=True, secure=True)
        tops = {of(one.top) for one in merged}
        _resolve_volumes(domain, definition, tops, of)
        changed = change(definition.findall('devices/disk'))
        if not domain.is_active:
            # QEMU may have ended a merge unseen.  libvirt finds out at the
            # start what a disk is backed by.
            changed |= xml.forget_backing(definition, bases.keys())
        if changed:
            domains.define(domain.host, xml.render(definition))
    if not merged:
        return
    name = root.findtext('name')
    for other in snapshots.names(domain) - {name}:
        described = snapshots.describe(domain, other)
        if change(snapshot_xml.captured_elements(described)):
            snapshots.redefine(domain, described)


def _resolve_volumes(
    domain: Domain,
    definition: xml.Element,
    tops: Container[str],
    of: Callable[[str], str],
) -> None:
    """Let the disks that are on *tops* name these by their paths."""
    storage = domain.host.storage
    for disk, element in zip(
        xml.disks(definition), definition.findall('devices/disk'), strict=True
    ):
        path = None
        # The pool may be gone, and with it the reason to look.
        with errors.ignored(domain.host.connection):
            path = disk.volume and storage.path_of(disk)
        if path and of(path) in tops:
            xml.resolve_volume(element, path)


def _end_merge(domain: Domain, parent: str | None) -> None:
    """
    Let the parent be deleted by others again.

    A merge of libvirt's own that was interrupted has left a mark there.
    """
    if parent and snapshots.exists(domain, parent):
        root = snapshots.describe(domain, parent)
        if snapshot_xml.end_merge(root):
            snapshots.redefine(domain, root)


def _report(
    domain: Domain,
    name: str,
    planned: layers.Plan,
    context: contract.TaskContext,
) -> None:
    """Tell which files stay."""
    if planned.unmerged:
        context.add_message(messages.SNAPSHOT_NOT_MERGED, name, domain.name)
    if not planned.kept:
        return
    needed = {planned.of(path) for path in _needed(domain, but=name)}
    exists = domain.host.storage.exists
    for target, paths in planned.kept.items():
        path = next((path for path in paths if exists(path)), None)
        # What another snapshot needs is told when that is deleted.
        if path and planned.of(path) not in needed:
            context.add_message(
                messages.DISK_DATA_KEPT, name, path, target, domain.name
            )


def _needed(domain: Domain, but: str) -> set[str]:
    """Every file that the system, or a snapshot other than *but*, is of."""
    paths = {disk.path for disk in xml.disks(domain.definition()) if disk.path}
    for snapshot in snapshots.read_all(domain):
        if snapshot.record.name != but:
            paths |= snapshot.paths
    return paths.union(domain.host.storage.backing(paths))


def remove_files(domain: Domain, context: contract.TaskContext) -> None:
    """Remove what was of the snapshot alone."""
    journal = context.recall(DeleteJournal)
    host = domain.host
    with host.moments.within():
        # This look tells what the definitions are, too.
        discard = leftovers.discarding(domain, journal.overlays, context)
        remove = leftovers.removal(host, journal.files, context)
    remove()
    discard()
    # A revert does it again.
    with contextlib.suppress(
        libvirt.libvirtError, exceptions.SnapshotNotFound
    ):
        revert_disks.correct(domain)
