# SPDX-License-Identifier: Apache-2.0
"""
The delete of an internal snapshot, which libvirt carries out.

Owns what is known of it when libvirt fails: the header of each disk says how
many snapshots are in it, and QEMU takes one off that list before it frees what
the snapshot held.
"""

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import errors, snapshots, xml
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.parsed import ParsedSnapshot

# libvirt says these before it has touched the snapshot.
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
# A qcow2 file begins with this, and has the count of its snapshots here.
_MAGIC, _COUNT = b'QFI\xfb', slice(60, 64)


def run(
    domain: Domain, snapshot: ParsedSnapshot, context: contract.TaskContext
) -> None:
    """Raises MergeFailed where the snapshot may be half deleted."""
    name, before = snapshot.record.name, context.recall(contract.DeleteJournal)
    context.step('prepare', before)
    if context.cancelled:
        raise exceptions.OperationCancelled(contract.DELETE)
    held = _held(domain, snapshot)
    context.step('merge', contract.DeleteJournal(merging=True))
    try:
        domain.changed(snapshots.find(domain, name).delete)
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        untouched = exc.get_error_code() in _REFUSALS or (
            held is not None and _held(domain, snapshot) == held
        )
        if untouched and not before.merging:
            context.step('merge', before)
            raise
        raise exceptions.MergeFailed(name, errors.text(exc)) from exc
    context.step('finish', durable=False)


def _held(domain: Domain, snapshot: ParsedSnapshot) -> dict[str, int] | None:
    """
    How many snapshots each disk holds, by its file; None where not known.

    Of the disks that were captured and those of the present: which of them
    libvirt means depends on whether the system runs.
    """
    storage, found = domain.host.storage, dict[str, int]()
    try:
        for disk in (*snapshot.captured, *xml.disks(domain.definition())):
            if disk.format != 'qcow2' or not disk.is_captured:
                continue
            path = storage.path_of(disk)
            header = storage.read(path, _COUNT.stop) if path else None
            if not header or not header.startswith(_MAGIC):
                return None
            found[path or ''] = int.from_bytes(header[_COUNT])
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        return None
    except (exceptions.FolderUnreadable, exceptions.NotAnswering):
        return None
    return found or None
