# SPDX-License-Identifier: Apache-2.0
"""
Delete: merge the data of a snapshot into what lies below it.

Steps: ``prepare`` notes the other files, ``merge`` is the libvirt call,
``finish`` removes what libvirt left.  A merge that broke off is begun again,
which libvirt allows; until it has succeeded the snapshot is damaged.
"""

import contextlib
from typing import Any

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    connections,
    domain_jobs,
    firmware,
    leftovers,
    plan,
    revert_disks,
    snapshots,
    space,
    storage,
    xml,
)

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
_NEVER_RAN = [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_FAILED]


def check(connection: Any, domain: Any, name: str) -> xml.Element:
    """Raise what stands in the way of deleting *name*; returns its XML."""
    root = snapshots.describe(domain, name)
    plan.check_unsaved(domain)
    if plan.is_paused(domain):
        raise exceptions.SystemPaused(domain.name())
    # Asked right before the merge: some of it would crash libvirtd.
    records = snapshots.tree(domain)
    referrers = contract.referrers(records, name)
    if referrers:
        raise exceptions.SnapshotReferenced(name, ', '.join(referrers))
    # What has no child and is not current, libvirt merges with nothing.
    if any(s.parent == name or s.current and s.name == name for s in records):
        space.check(space.for_delete(connection, root))
    else:
        _check_not_below(connection, domain, root, name)
    return root


def _check_not_below(
    connection: Any, domain: Any, root: xml.Element, name: str
) -> None:
    """
    Raise where the domain would lose what it stands on.

    libvirt merges nothing where it takes a snapshot for one of another
    branch, but removes its files; and it takes every leaf for that where no
    snapshot is current, as after an undefine and a redefinition.
    """
    external = xml.external_disks(root)
    captured = {
        disk.path
        for disk in xml.captured_disks(root)
        if disk.target in external and disk.path
    }
    definition = xml.parse(domain.XMLDesc(0))
    # libvirt may have written down no chain for a domain that is off.
    tops = {disk.path for disk in xml.disks(definition) if disk.path}
    below = xml.chain(definition) | storage.chains(connection, tops)
    in_use = captured & below
    if in_use:
        raise exceptions.SnapshotBelowSystem(name, min(in_use))


def run(
    hypervisor: connections.Hypervisor,
    uuid: str,
    name: str,
    context: contract.TaskContext,
) -> None:
    with hypervisor.domain(uuid, 'delete') as (connection, domain):
        root = check(connection, domain, name)
        whole = xml.parse(xml.render(root))
        present = _targets(domain)
        overlays = [
            path
            for target, path in xml.external_disks(root).items()
            if path and target in present
        ]
        context.step('prepare', files=_other_files(root), overlays=overlays)
        # libvirt would merge the overlay of a drive that may be long gone,
        # and refuse to delete the snapshot for ever.
        if xml.external_disks(root) and xml.eject_media(root):
            snapshots.redefine(domain, root)
        again = context.journal.get('merging', False)
        context.step('merge', merging=True)
        try:
            _merge(domain, name, again)
        except (libvirt.libvirtError, exceptions.MergeFailed):
            if not connection.isAlive():
                raise
            if not _is_ahead(connection, domain, root):
                _put_media_back(domain, whole)
                raise
            _forget(connection, domain, root, context)
        context.step('finish', durable=False)
        _remove_files(connection, domain, context)


def _targets(domain: Any) -> set[str]:
    return {d.target for d in xml.disks(xml.parse(domain.XMLDesc(0)))}


def _put_media_back(domain: Any, whole: xml.Element) -> None:
    """Let a snapshot that was not deleted have its media again."""
    name = whole.findtext('name', '')
    if name in domain.snapshotListNames():
        root = snapshots.describe(domain, name)
        if xml.insert_media(root, whole):
            snapshots.redefine(domain, root)


def settle(
    hypervisor: connections.Hypervisor,
    uuid: str,
    name: str,
    context: contract.TaskContext,
) -> None:
    domain_jobs.until_idle(hypervisor, uuid)
    with hypervisor.domain(uuid, 'delete') as (connection, domain):
        if name not in domain.snapshotListNames():
            _remove_files(connection, domain, context)
            return
    run(hypervisor, uuid, name, context)


def _merge(domain: Any, name: str, again: bool) -> None:
    off = not domain.isActive()
    try:
        snapshots.find(domain, name).delete()
    except libvirt.libvirtError as exc:
        if not domain.connect().isAlive():
            raise
        # QEMU merges, also what belongs to a system that is off.
        untouched = exc.get_error_code() in _REFUSALS or (
            off and domain.state() == _NEVER_RAN
        )
        if untouched and not again:
            raise
        raise exceptions.MergeFailed(
            name, str(exc.get_error_message()).strip()
        ) from exc


def _is_ahead(connection: Any, domain: Any, root: xml.Element) -> bool:
    """
    Whether the files below the system are no longer those libvirt knows.

    A QEMU that died in a merge may have ended it, and libvirt not have
    noticed; it can then merge nothing of that snapshot, or of the next.
    """
    name, records = root.findtext('name'), snapshots.tree(domain)
    on_branch = {s.name for s in records if s.current}
    if name not in on_branch | contract.ancestors(records):
        return False
    external = xml.external_disks(root)
    # libvirt refuses where one is detached; its data may be needed yet.
    if external.keys() - _targets(domain):
        return False
    now = [
        path
        for disk in xml.disks(xml.parse(domain.XMLDesc(0)))
        if disk.target in external and (path := plan.file_of(connection, disk))
    ]
    wanted = {*external.values()} | {
        disk.path
        for disk in xml.captured_disks(root)
        if disk.target in external
    }
    return not wanted - {None} <= storage.chains(connection, now)


def _forget(
    connection: Any,
    domain: Any,
    root: xml.Element,
    context: contract.TaskContext,
) -> None:
    """
    Take a snapshot off libvirt's list, and leave its disks where they are.

    libvirt would refuse to delete it for ever.  What lies below the system
    stays below it, and nothing is lost.
    """
    name = root.findtext('name', '')
    snapshots.find(domain, name).delete(
        libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY
    )
    context.tell('HawkFish.1.0.SnapshotNotMerged', name, domain.name())
    _end_merge(domain, root)
    paths = {*xml.external_disks(root).values()} | {
        disk.path for disk in xml.captured_disks(root)
    }
    unused = [
        path
        for path in paths
        if path
        and leftovers.is_ours(path)
        and not storage.is_backing(connection, path)
    ]
    leftovers.remove(connection, domain, unused, context)


def _end_merge(domain: Any, root: xml.Element) -> None:
    """Let the parent be deleted again, which was being merged into."""
    parent = root.findtext('parent/name')
    if parent and parent in domain.snapshotListNames():
        below = snapshots.describe(domain, parent)
        if xml.end_merge(below):
            snapshots.redefine(domain, below)


def _remove_files(
    connection: Any, domain: Any, context: contract.TaskContext
) -> None:
    leftovers.remove(connection, domain, context.journal['files'], context)
    # Those that libvirt has not removed, as QEMU died right after the merge.
    leftovers.remove_discarded(
        connection, domain, context.journal['overlays'], context
    )
    # A revert does it again.
    with contextlib.suppress(
        libvirt.libvirtError, exceptions.SnapshotNotFound
    ):
        revert_disks.correct(domain)


def _other_files(root: xml.Element) -> list[str]:
    """The files beside the overlays, which libvirt removes."""
    # libvirt before 9.1 leaves the memory behind.
    memory = xml.memory_file(root)
    return [*([memory] if memory else []), *firmware.copies(root).values()]
