# SPDX-License-Identifier: Apache-2.0
"""
New systems out of bundles.

Owns where the files of one go, and the way from them to a system: it is
defined, gets the state of its firmware, and is started.  Whatever fails or
dies before the end leaves nothing.
"""

import contextlib
import posixpath
from collections.abc import Collection, Mapping, Sequence

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions
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
    image_heads,
    import_xml,
    leftovers,
    received,
    space,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.import_xml import Rebuilt

_NAME = contract.IMPORT


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
    files = _files(request, folder, members)
    # Raises what could not be defined.
    rebuilt = rebuild(host, request, root, files, members)
    if request.memory:
        _check_whole(rebuilt)
    targets = {xml.target_of(d) for d in root.findall('devices/disk')}
    for disk in received.of_role(members, manifest.DISK):
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
    request: ImportRequest, folder: str, members: Sequence[Member]
) -> dict[str, str]:
    token, name = filenames.new_token(), request.name
    files = {
        one.name: posixpath.join(folder, f'{name}-{one.target}-{token}.qcow2')
        for one in received.of_role(members, manifest.DISK)
    }
    return files | received.other_files(folder, token, members, request.memory)


def _has_network(host: Host, name: str) -> bool:
    try:
        return bool(host.connection.networkLookupByName(name))
    except (libvirt.libvirtError, ValueError):
        return False


def rebuild(
    host: Host,
    request: ImportRequest,
    root: xml.Element,
    files: Mapping[str, str],
    members: Sequence[Member],
) -> Rebuilt:
    """The definition of the new system, whose disks are in *files*."""
    definitions = []
    for domain in domains.all_of(host):
        # One may be undefined meanwhile.
        with errors.ignored(host.connection):
            if domain.uuid != request.uuid:
                definitions.append(domain.definition(inactive=True))
    disks = {
        one.target or '': files[one.name]
        for one in received.of_role(members, manifest.DISK)
    }
    known = import_xml.known_of(definitions)
    return Rebuilt(
        root, request.name, request.uuid, disks, known, request.macs
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
    rebuilt = rebuild(host, request, root, files, members)
    context.step('define')
    domain = domains.define(host, xml.render(rebuilt.root))
    left_out = [*rebuilt.left_out]
    left_out += _restore_firmware(
        domain, request, received.firmware_of(files, members)
    )
    if request.memory:
        _load(host, request, files, members)
    # Where it is one of several, none runs before all are there.
    context.meet(contract.Meeting.LOADED)
    if request.start and request.memory:
        domain.again().resume()
    elif request.start:
        domain.start(contract.ON)
    context.step('finish')
    _tidy(host, files, left_out, members, context)


def _restore_firmware(
    domain: Domain, request: ImportRequest, copies: Mapping[str, str]
) -> list[str]:
    """Put *copies* in place; returns those for which there is none."""
    host = domain.host

    def restore(kinds: Collection[str]) -> None:
        firmware.restore(
            host.storage,
            request.name,
            domain.definition(inactive=True),
            {kind: copies[kind] for kind in kinds},
        )

    restore(copies.keys() & {*received.IN_PLACE})
    # The memory has that of the TPM.
    if received.TPM not in copies or request.memory:
        return []
    try:
        # libvirt makes its folder, and sets it up, when it is first started.
        domain.start(contract.PAUSED)
        domain.destroy()
        restore([received.TPM])
    except (libvirt.libvirtError, exceptions.FolderUnusable) as exc:
        if isinstance(exc, libvirt.libvirtError):
            host.raise_if_lost(exc)
        return [f'firmware {received.TPM}']
    return []


def _load(
    host: Host,
    request: ImportRequest,
    files: Mapping[str, str],
    members: Sequence[Member],
) -> None:
    """Load the memory; the system stays paused."""
    (member,) = received.of_role(members, manifest.MEMORY)
    path = files[member.name]
    found = received.head(host, path)
    live = rebuild(host, request, found.definition, files, members)
    _check_whole(live)
    # libvirt takes no other name or UUID than those of the image.
    try:
        host.storage.write_at(path, 0, found.replaced(live.root))
    except image_heads.Damaged as exc:
        raise exceptions.BundleInvalid(f'its memory: {exc}') from exc
    domains.restore(host, path, xml.render(live.root))


def _check_whole(rebuilt: Rebuilt) -> None:
    """Raise where a guest that goes on would miss a device."""
    if rebuilt.left_out:
        raise exceptions.ImportNotPossible(
            'its guest cannot go on without '
            + ', '.join(sorted({*rebuilt.left_out}))
        )


def _tidy(
    host: Host,
    files: Mapping[str, str],
    left_out: Sequence[str],
    members: Sequence[Member],
    context: contract.TaskContext,
) -> None:
    disks = {one.name for one in received.of_role(members, manifest.DISK)}
    used = [path for name, path in files.items() if name not in disks]
    leftovers.remove(host, used, context)
    for what in (*left_out, *received.lost(files, members)):
        context.add_message(received.LEFT_OUT, what)


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
            _tidy(host, files, (), members, context)
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
