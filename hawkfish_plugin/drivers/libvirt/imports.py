# SPDX-License-Identifier: Apache-2.0
"""
New systems out of bundles.

Owns where the files of one go, and the way from them to a system: it is
defined, gets the state of its firmware, and is started.  Whatever fails or
dies before the end leaves nothing.
"""

import contextlib
import posixpath
from collections.abc import Mapping, Sequence

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.importing import ImportRequest
from hawkfish_plugin.drivers.libvirt import (
    connections,
    domains,
    errors,
    filenames,
    firmware,
    import_xml,
    leftovers,
    qcow2,
    space,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.import_xml import Rebuilt

_NAME = contract.IMPORT
# What is put back in place; the state of a TPM has no folder before a start.
_KINDS = ('nvram', 'varstore')
_LEFT_OUT = messages.IMPORT_LEFT_OUT


def plan(
    host: Host,
    request: ImportRequest,
    members: Sequence[Member],
    conf: cfg.ConfigOpts,
    beside: int = 0,
) -> dict[str, str]:
    """See ``importing.Imports.plan_import``."""
    root = import_xml.parse(request.definition)
    folder = folder_of(host, request.pool or conf.backup.import_pool)
    files = _files(request.name, folder, members)
    # Raises what could not be defined.
    _rebuild(host, request, root, files, members)
    targets = {xml.target_of(d) for d in root.findall('devices/disk')}
    for disk in _of_role(members, manifest.DISK):
        if disk.target not in targets:
            raise exceptions.BundleInvalid(
                f'its system has no disk {disk.target}'
            )
    found: list[exceptions.HawkFishError] = [
        exceptions.NetworkMissing(name)
        for name in sorted(import_xml.networks(root))
        if not _has_network(host, name)
    ]
    found += _taken(host, request)
    exceptions.check(found)
    sizes = {one.name: one.size for one in members}
    needed = beside + sum(sizes[name] for name in files)
    space.check(space.for_files(host.storage, folder, needed))
    return files


def _taken(
    host: Host, request: ImportRequest
) -> list[exceptions.HawkFishError]:
    """What of its identity another system has."""
    found: list[exceptions.HawkFishError] = []
    with contextlib.suppress(exceptions.SystemNotFound):
        domains.find_any(host, request.name)
        found.append(exceptions.SystemExists(request.name))
    if not found:
        with contextlib.suppress(exceptions.SystemNotFound):
            domain = domains.find_any(host, request.uuid)
            found.append(exceptions.SystemExists(domain.name))
    owners = _mac_owners(host)
    found += [
        exceptions.ImportNotPossible(
            f'{owners[mac]!r} has the MAC address {mac}'
        )
        for mac in import_xml.macs(import_xml.parse(request.definition))
        if request.macs.get(mac) == mac and mac in owners
    ]
    return found


def map_macs(
    host: Host, definitions: Sequence[str], keep: bool
) -> dict[str, str]:
    """See ``importing.Imports.map_macs``."""
    had = [
        mac
        for text in definitions
        for mac in import_xml.macs(import_xml.parse(text))
    ]
    if keep:
        return {mac: mac for mac in had}
    taken = {*had, *_mac_owners(host)}
    found = dict[str, str]()
    for mac in dict.fromkeys(had):
        found[mac] = import_xml.new_mac(taken)
        taken.add(found[mac])
    return found


def _mac_owners(host: Host) -> dict[str, str]:
    """The systems of the host, by the MAC addresses that they have."""
    found = dict[str, str]()
    for domain in domains.all_of(host):
        # One may be undefined meanwhile.
        with errors.ignored(host.connection):
            root = domain.definition(inactive=True)
            found |= dict.fromkeys(import_xml.macs(root), domain.name)
    return found


def folder_of(host: Host, name: str) -> str:
    """The folder of the pool *name*; raises PoolNotUsable."""
    try:
        pool = host.connection.storagePoolLookupByName(name)
        is_active = pool.isActive()
        root = xml.parse(pool.XMLDesc())
    except libvirt.libvirtError as exc:
        host.raise_if_lost(exc)
        raise exceptions.PoolNotUsable(name, errors.text(exc)) from exc
    except ValueError:
        # The binding refuses a name with a zero in it.
        raise exceptions.PoolNotUsable(name, 'there is none') from None
    path = root.findtext('target/path', '')
    if not is_active:
        raise exceptions.PoolNotUsable(name, 'it is not active')
    if root.get('type') not in ('dir', 'fs', 'netfs') or not path:
        raise exceptions.PoolNotUsable(name, 'it is no directory')
    return path


def _files(
    name: str, folder: str, members: Sequence[Member]
) -> dict[str, str]:
    token = filenames.new_token()
    files = {
        one.name: posixpath.join(folder, f'{name}-{one.target}-{token}.qcow2')
        for one in _of_role(members, manifest.DISK)
    }
    kinds = {
        one.target or '': one.name
        for one in _of_role(members, manifest.FIRMWARE)
        if one.target in _KINDS
    }
    copies = filenames.firmware_copies(folder, token, kinds)
    return files | {kinds[kind]: path for kind, path in copies.items()}


def _of_role(members: Sequence[Member], role: str) -> list[Member]:
    return [one for one in members if one.role == role]


def _has_network(host: Host, name: str) -> bool:
    try:
        return bool(host.connection.networkLookupByName(name))
    except (libvirt.libvirtError, ValueError):
        return False


def _rebuild(
    host: Host,
    request: ImportRequest,
    root: xml.Element,
    files: Mapping[str, str],
    members: Sequence[Member],
) -> Rebuilt:
    definitions = []
    for domain in domains.all_of(host):
        # One may be undefined meanwhile.
        with errors.ignored(host.connection):
            definitions.append(domain.definition(inactive=True))
    disks = {
        one.target or '': files[one.name]
        for one in _of_role(members, manifest.DISK)
    }
    known = import_xml.known_of(definitions)
    return Rebuilt(
        root, request.name, request.uuid, disks, known, request.macs
    )


# Files ---------------------------------------------------------------------


def check_file(host: Host, path: str, member: Member) -> None:
    """See ``importing.Imports.check_file``."""
    if member.role != manifest.DISK:
        return
    header = host.storage.read(path, qcow2.HEADER_BYTES) or b''
    if member.format != 'qcow2' or not qcow2.stands_alone(
        header, member.capacity or 0
    ):
        raise exceptions.BundleInvalid(
            f'the disk {member.target} is not a whole qcow2 file of its size'
        )


# The system ----------------------------------------------------------------


def run(
    hypervisor: connections.Hypervisor,
    request: ImportRequest,
    files: Mapping[str, str],
    members: Sequence[Member],
    context: contract.TaskContext,
) -> None:
    """See ``importing.Imports.import_system``."""
    with hypervisor.host(_NAME, context.check_active) as host:
        context.step('prepare')
        try:
            make(host, request, files, members, context)
        except (libvirt.libvirtError, exceptions.HawkFishError):
            if host.is_alive:
                undo(host, request, files, context)
            raise


def make(
    host: Host,
    request: ImportRequest,
    files: Mapping[str, str],
    members: Sequence[Member],
    context: contract.TaskContext,
) -> None:
    exceptions.check(_taken(host, request))
    root = import_xml.parse(request.definition)
    rebuilt = _rebuild(host, request, root, files, members)
    context.step('define')
    domain = domains.define(host, xml.render(rebuilt.root))
    copies = _copies(files, members)
    firmware.restore(
        host.storage,
        request.name,
        domain.definition(inactive=True),
        copies,
    )
    # Where it is one of several, none runs before all are there.
    context.meet(contract.Meeting.LOADED)
    if request.start:
        domain.start(contract.ON)
    context.step('finish')
    _tidy(host, copies, rebuilt.left_out, members, context)


def _copies(
    files: Mapping[str, str], members: Sequence[Member]
) -> dict[str, str]:
    return {
        one.target or '': files[one.name]
        for one in _of_role(members, manifest.FIRMWARE)
        if one.name in files
    }


def _tidy(
    host: Host,
    copies: Mapping[str, str],
    left_out: Sequence[str],
    members: Sequence[Member],
    context: contract.TaskContext,
) -> None:
    leftovers.remove(host, copies.values(), context)
    lost = [*left_out, *('memory' for m in _of_role(members, manifest.MEMORY))]
    lost += [
        f'firmware {one.target}'
        for one in _of_role(members, manifest.FIRMWARE)
        if one.target not in _KINDS
    ]
    for what in lost:
        context.add_message(_LEFT_OUT, what)


def settle(
    hypervisor: connections.Hypervisor,
    request: ImportRequest,
    files: Mapping[str, str],
    members: Sequence[Member],
    context: contract.TaskContext,
) -> None:
    """See ``importing.Imports.settle_import``."""
    with hypervisor.host(_NAME, context.check_active) as host:
        if context.last_step == 'finish':
            _tidy(host, _copies(files, members), (), members, context)
            return
        undo(host, request, files, context)
    raise exceptions.OperationInterrupted(_NAME, 'nothing of it was kept')


def undo(
    host: Host,
    request: ImportRequest,
    files: Mapping[str, str],
    context: contract.TaskContext,
) -> None:
    """See ``importing.Imports.undo_import``."""
    with contextlib.suppress(exceptions.SystemNotFound):
        domain = domains.find(host, request.uuid)
        # Another one may have got an identity that was kept.
        if {*xml.files(domain.definition(inactive=True))} & {*files.values()}:
            _remove(domain)
    leftovers.remove(host, files.values(), context)


def _remove(domain: Domain) -> None:
    if domain.is_active:
        domain.destroy()
    flags = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    flags |= libvirt.VIR_DOMAIN_UNDEFINE_TPM
    domain.changed(lambda: domain.handle.undefineFlags(flags))
