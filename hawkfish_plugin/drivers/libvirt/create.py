# SPDX-License-Identifier: Apache-2.0
"""
Create: one libvirt call, and what makes its result revertable.

Steps: ``prepare`` notes the files to come, ``freeze`` flushes the guest's
file systems, ``capture`` is the call, ``finish`` names pool volumes by their
paths and copies of the firmware by their snapshot.  Killed at any of them,
settle thaws the guest and finishes what libvirt has, or removes the files that
it left.
"""

import dataclasses
import posixpath
import uuid
from collections.abc import Collection, Mapping
from typing import Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    agent,
    connections,
    domain_jobs,
    firmware,
    leftovers,
    plan,
    quiesce,
    snapshots,
    storage,
    untracked,
    xml,
)

_LIVE = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_LIVE
# CVE-2025-13193: before it the overlays of a domain that is off were 0644.
_PRIVATE_SINCE = 11_010_000
_QUIESCE = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE
_OVERLAY = '.qcow2'


def run(
    hypervisor: connections.Hypervisor,
    uuid: str,
    request: contract.CreateRequest,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> contract.Created:
    with hypervisor.domain(uuid, 'create') as (connection, domain):
        planned = plan.make(connection, domain, request, conf)
        _check_name_free(domain, request.name)
        definition = xml.parse(domain.XMLDesc(0))
        text, overlays, files, copies = _describe(
            request, planned, definition, not domain.isActive()
        )
        context.step(
            'prepare',
            files=files,
            volumes=planned.volumes,
            firmware=copies,
            frozen=False,
            power_state=plan.power_state(domain),
        )
        for need in planned.needs:
            context.tell(
                'HawkFish.1.0.SpaceEstimated',
                need.folder,
                need.needed,
                need.available,
            )
        if context.cancelled:
            raise exceptions.OperationCancelled('create')
        if (
            not planned.external
            and not planned.memory
            and ('tpm' in xml.firmware(definition, off=True))
        ):
            context.tell('HawkFish.1.0.TpmNotCaptured', domain.name())
        if (
            planned.external
            and not planned.memory
            and (xml.firmware(definition, off=True).keys() - copies.keys())
        ):
            context.tell(
                'HawkFish.1.0.FirmwareNotCaptured',
                request.name,
                'its UEFI variables are in a qcow2 file, of which QEMU keeps '
                'a part to itself while it runs',
            )
        quiesced = quiesce.before(domain, planned, conf, context)
        # Between the flush and libvirt's job there is nothing to abort.
        if context.cancelled:
            raise exceptions.OperationCancelled('create')
        with domain_jobs.watched(hypervisor, uuid, context) as watch:
            try:
                flags = _flags(planned)
                if _would_be_readable(connection, domain, overlays):
                    flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
                    _make_overlays(connection, planned, overlays)
                firmware.capture(connection, definition, copies)
                quiesced = _capture(
                    connection,
                    domain,
                    text,
                    flags,
                    planned,
                    quiesced,
                    conf,
                    context,
                )
            except libvirt.libvirtError as exc:
                if connection.isAlive():
                    _remove_files(connection, domain, files, context)
                _check_aborted(exc, watch, conf)
                raise
            except exceptions.Conflict:
                # Of the agent, or of the folder of the copies.
                _remove_files(connection, domain, files, context)
                raise
        context.step('finish', durable=False, frozen=False)
        size = _finish(connection, domain, request.name, context)
        return contract.Created(quiesced, size)


def _capture(
    connection: Any,
    domain: Any,
    text: str,
    flags: int,
    planned: plan.Plan,
    quiesced: contract.Quiesce,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> contract.Quiesce:
    # Memory is flushed before; libvirt freezes disks alone by itself.
    if quiesced.status == contract.QUIESCED and not flags & _LIVE and flags:
        context.step(
            'capture', frozen=True, quiesce=dataclasses.asdict(quiesced)
        )
        try:
            with agent.failures():
                domain.snapshotCreateXML(text, flags | _QUIESCE)
            return quiesced
        except agent.AgentError as exc:
            agent.thaw(domain, conf.snapshots.quiesce_timeout, context)
            # Where it was the thaw that failed, the system stands on them.
            overlays = _overlays(context.journal['files'])
            _remove_files(connection, domain, overlays, context)
            quiesced = quiesce.failed(domain, planned, exc, context)
    context.step('capture', frozen=False, quiesce=dataclasses.asdict(quiesced))
    domain.snapshotCreateXML(text, flags)
    return quiesced


def settle(
    hypervisor: connections.Hypervisor,
    uuid: str,
    request: contract.CreateRequest,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> contract.Created:
    domain_jobs.until_idle(hypervisor, uuid)
    with hypervisor.domain(uuid, 'create') as (connection, domain):
        if context.journal['frozen'] and domain.isActive():
            agent.thaw(domain, conf.snapshots.quiesce_timeout, context)
        if _is_made(domain, request.name, context.journal['files']):
            size = _finish(connection, domain, request.name, context)
            quiesced = contract.Quiesce(**context.journal['quiesce'])
            return contract.Created(quiesced, size)
        kept = _remove_files(
            connection, domain, context.journal['files'], context
        )
        _resume(domain, context)
    left = (
        f'{kept[0]!r} was left of it'
        if kept
        else ('what was left of it is gone')
    )
    raise exceptions.OperationInterrupted(
        'create', f'there is no such snapshot, and {left}'
    )


def _overlays(files: Collection[str]) -> list[str]:
    return [path for path in files if path.endswith(_OVERLAY)]


def _remove_files(
    connection: Any,
    domain: Any,
    files: Collection[str],
    context: contract.TaskContext,
) -> list[str]:
    """
    Remove *files* of a create that failed; returns what has to be left.

    A libvirtd that died may have let QEMU open the overlays already, and
    write to them; one that could not end a create leaves the system on them.
    """
    overlays = _overlays(files)
    reason = 'only that file would have it'
    try:
        merged = untracked.merge_back(domain, overlays)
        kept = [
            path
            for path in overlays
            if path not in merged and storage.is_written(connection, path)
        ]
    except (libvirt.libvirtError, untracked.UntrackedError) as exc:
        if not connection.isAlive():
            raise
        kept, reason = overlays, str(exc)
    for path in kept:
        context.tell('HawkFish.1.0.OverlayLeft', path, domain.name(), reason)
    files = [path for path in files if path not in kept]
    leftovers.close(connection, domain, files, context)
    leftovers.remove(connection, domain, files, context)
    return kept


def _check_name_free(domain: Any, name: str) -> None:
    if snapshots.exists(domain, name):
        raise exceptions.SnapshotExists(name)


def _is_made(domain: Any, name: str, files: Collection[str]) -> bool:
    """Whether *name* is there, and is not another one of that name."""
    if not snapshots.exists(domain, name):
        return False
    overlays = xml.external_disks(snapshots.describe(domain, name))
    return set(overlays.values()) <= set(files)


def _describe(
    request: contract.CreateRequest,
    planned: plan.Plan,
    definition: xml.Element,
    off: bool,
) -> tuple[str, dict[str, str], list[str], dict[str, str]]:
    """
    The XML of the snapshot, its overlays by target, all its files, and those
    of them that copy the firmware's state, by kind.
    """
    if not planned.external:
        text = xml.internal_snapshot(
            request.name, request.description, planned.paths, planned.left_out
        )
        return text, {}, [], {}
    # libvirt overwrites a memory file that exists without a word, and a
    # snapshot's name may be no file name: so the names are ours, and unique.
    token = uuid.uuid4().hex[:12]
    overlays = {
        target: posixpath.join(
            posixpath.dirname(path), f'hawkfish-{token}-{target}{_OVERLAY}'
        )
        for target, path in planned.paths.items()
    }
    memory = None
    if planned.memory:
        memory = posixpath.join(planned.folder(), f'hawkfish-{token}.mem')
    text = xml.external_snapshot(
        request.name, request.description, memory, overlays, planned.left_out
    )
    copies = firmware.files(definition, planned.folder(), token, off)
    files = [
        *overlays.values(),
        *([memory] if memory else []),
        *copies.values(),
    ]
    return text, overlays, files, copies


def _would_be_readable(
    connection: Any, domain: Any, overlays: Mapping[str, str]
) -> bool:
    """Whether libvirt would make the overlays readable by all users."""
    old = connection.getLibVersion() < _PRIVATE_SINCE
    return bool(overlays and old and not domain.isActive())


def _make_overlays(
    connection: Any, planned: plan.Plan, overlays: Mapping[str, str]
) -> None:
    for target, path in overlays.items():
        storage.make_overlay(
            connection, path, planned.paths[target], planned.formats[target]
        )


def _flags(planned: plan.Plan) -> int:
    if not planned.external:
        return 0
    if planned.memory:
        # The guest runs on while its memory is written, but for the end.
        return int(_LIVE)
    return int(
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
        | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    )


def _check_aborted(
    error: libvirt.libvirtError, watch: domain_jobs.Watch, conf: cfg.ConfigOpts
) -> None:
    if error.get_error_code() != libvirt.VIR_ERR_OPERATION_ABORTED:
        return
    if watch.cancelled:
        raise exceptions.OperationCancelled('create') from error
    if watch.overdue:
        raise exceptions.OperationTimedOut(
            'create', conf.tasks.deadline
        ) from error


def _resume(domain: Any, context: contract.TaskContext) -> None:
    # A libvirtd that died while it saved the memory left the guest paused.
    stopped = [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_SAVE]
    if (
        context.journal['power_state'] == contract.ON
        and domain.state() == stopped
    ):
        domain.resume()


def _keep_firmware(
    connection: Any,
    domain: Any,
    root: xml.Element,
    context: contract.TaskContext,
) -> None:
    # The snapshot is there and whole but for this; without its note of who
    # has made it, a revert would take it for one of others.
    try:
        firmware.keep(connection, root, context.journal['firmware'])
    except (libvirt.libvirtError, exceptions.FolderMissing) as exc:
        if not connection.isAlive():
            raise
        context.tell(
            'HawkFish.1.0.FirmwareNotCaptured', root.findtext('name', ''), exc
        )
        leftovers.remove(
            connection, domain, context.journal['firmware'].values(), context
        )


def _finish(
    connection: Any, domain: Any, name: str, context: contract.TaskContext
) -> int | None:
    """Complete what libvirt has made; returns the size of its memory."""
    root = snapshots.describe(domain, name)
    if xml.resolve_volumes(root, context.journal['volumes']):
        snapshots.redefine(domain, root)
    if context.journal['firmware']:
        _keep_firmware(connection, domain, root, context)
    memory = xml.memory_file(root)
    return storage.size(connection, memory)[0] if memory else None
