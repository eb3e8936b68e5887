# SPDX-License-Identifier: Apache-2.0
"""
What a clone of a backup is made of, and what stands in its way.

It is made of the system that a restore would make.  What the repository has
may come from another host: a definition in it could name any file or device
of this one, so only what ``import_xml`` takes over gets into a clone.  The
files of the repository are below overlays, and nothing is written beside them.
"""

from collections.abc import Sequence
from xml.etree import ElementTree

from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.drivers.backups import Backup
from hawkfish_plugin.drivers.importing import ImportRequest
from hawkfish_plugin.drivers.libvirt import (
    clone_xml,
    filenames,
    firmware,
    import_xml,
    imports,
    received,
    repository,
    verify_plan,
    xml,
)
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.verify_plan import Plan
from hawkfish_plugin.drivers.verifying import VerifyRequest


def make(
    host: Host,
    chain: Sequence[Backup],
    request: VerifyRequest,
    conf: cfg.ConfigOpts,
) -> Plan:
    """
    The clone of the first of *chain* that *request* asks for.

    Raises PoolNotUsable, BackupDamaged, BackupVerifyNotPossible or
    InsufficientSpace.
    """
    # No overlay is put on what leads out of the repository.
    repository.check_disks(host, chain)
    backup, token = chain[0], filenames.new_token()
    path = repository.Repository(host, backup.pool).path
    disks = {
        one.target or '': (path(one.name), 'qcow2')
        for one in received.of_role(backup.members, manifest.DISK)
    }
    definition, left_out = _rebuilt(host, backup, token, request)
    left_out += clone_xml.foreign(definition, disks)
    obstacles = verify_plan.obstacles(host, definition, disks)
    lack = verify_plan.memory_lack(host, definition)
    exceptions.check(
        [
            _refusal(request, why)
            for why in (*obstacles, *([lack] if lack else []))
        ]
    )
    home = conf.snapshots.overlay_dir or imports.folder_of(
        host, conf.backup.import_pool
    )
    verify_plan.check_space(host.storage, home, disks, None)
    return Plan(
        definition,
        disks,
        filenames.clone_folder(home, token),
        token,
        firmware=_firmware(host, backup),
        left_out=left_out,
    )


def _refusal(
    request: VerifyRequest, reason: object
) -> exceptions.BackupVerifyNotPossible:
    return exceptions.BackupVerifyNotPossible(request.name, reason)


def _rebuilt(
    host: Host, backup: Backup, token: str, request: VerifyRequest
) -> tuple[xml.Element, list[str]]:
    """The definition of the system of *backup*, and what it is without."""
    text = repository.read_definition(host, backup)
    path = repository.Repository(host, backup.pool).path
    try:
        root = import_xml.parse(text)
        made = imports.rebuild(
            host,
            ImportRequest(
                filenames.clone_uuid(token),
                filenames.clone_name(token),
                text,
                # Its links are down, and its guest may go by them.
                macs={mac: mac for mac in import_xml.macs(root)},
            ),
            root,
            {one.name: path(one.name) for one in backup.members},
            backup.members,
        )
    except (exceptions.BundleInvalid, exceptions.ImportNotPossible) as exc:
        raise _refusal(request, exc.args[0]) from exc
    _add_variables(made.root, root)
    return made.root, list(made.left_out)


def _add_variables(definition: xml.Element, root: xml.Element) -> None:
    """
    Let *definition* have a place for the variables that *root* has.

    libvirt would choose one that outlives the clone.
    """
    system = definition.find('os')
    for kind in (clone_xml.NVRAM, clone_xml.VARSTORE):
        if system is None or root.find(f'os/{kind}') is None:
            continue
        if system.find(kind) is None:
            ElementTree.SubElement(system, kind)


def _firmware(host: Host, backup: Backup) -> dict[str, bytes]:
    """What the copies of the firmware's state hold, by kind."""
    path = repository.Repository(host, backup.pool).path
    found = {}
    for one in received.of_role(backup.members, manifest.FIRMWARE):
        try:
            data = firmware.read_copy(
                host.storage, backup.token, path(one.name)
            )
        except (
            exceptions.SnapshotFileMissing,
            exceptions.SnapshotFileDamaged,
        ) as exc:
            reason = messages.text(exc).rstrip('.')
            raise exceptions.BackupDamaged(path(one.name), reason) from exc
        found[one.target or ''] = data
    return found
