# SPDX-License-Identifier: Apache-2.0
"""
Bundles over systems that there are.

Owns the way of a system from its files to those of a bundle: its definition
stays but for the files of its disks, and no file that it was on is written to
again.  What its snapshots hold is left alone, so each of them can be reverted
to afterwards.  Until the end the way back is to define what was there before.

Steps: ``prepare`` notes what the way back needs, ``define`` is the change
itself, and ``finish`` removes what nothing needs any more.
"""

import dataclasses
import posixpath
from collections.abc import Collection, Mapping, Sequence

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.importing import OverRequest
from hawkfish_plugin.drivers.libvirt import (
    connections,
    domains,
    filenames,
    firmware,
    image_heads,
    leftovers,
    received,
    revert_xml,
    space,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.records import Record

_NAME = contract.IMPORT


@dataclasses.dataclass(frozen=True)
class OverJournal(Record):
    """
    What the way back needs: the *domain_xml* and the *power_state* of before.

    *tops* are the files that its disks were on, and *firmware* has the copies
    of the state of its firmware, by kind.
    """

    domain_xml: str = ''
    power_state: str = contract.OFF
    tops: Sequence[str] = ()
    firmware: Mapping[str, str] = dataclasses.field(default_factory=dict)


def plan(
    domain: Domain, request: OverRequest, members: Sequence[Member]
) -> dict[str, str]:
    """See ``importing.Imports.plan_over``."""
    tops = _tops(domain)
    disks = received.of_role(members, manifest.DISK)
    targets = {one.target or '' for one in disks}
    if tops.keys() != targets:
        raise exceptions.ImportNotPossible(
            f'the system has the disks {", ".join(sorted(tops)) or "none"}, '
            f'and the bundle has {", ".join(sorted(targets))}'
        )
    domain.check_no_managed_save()
    token, name = filenames.new_token(), domain.name
    files = {
        one.name: posixpath.join(
            posixpath.dirname(tops[one.target or '']),
            f'{name}-{one.target}-{token}.qcow2',
        )
        for one in disks
    }
    folder = posixpath.dirname(next(iter(tops.values())))
    files |= received.other_files(folder, token, members, request.memory)
    needed: dict[str, int] = {}
    for one in members:
        if one.name in files:
            place = posixpath.dirname(files[one.name])
            needed[place] = needed.get(place, 0) + one.size
    storage = domain.host.storage
    for place, size in needed.items():
        space.check(space.for_files(storage, place, size))
    return files


def _tops(domain: Domain) -> dict[str, str]:
    """The files of the disks that can be replaced, by target."""
    found = {}
    for disk in xml.disks(domain.definition(inactive=True)):
        if disk.is_captured:
            path = disk.path or domain.host.storage.path_of(disk)
            if not path:
                raise exceptions.ImportNotPossible(
                    f'disk {disk.target} of the system is not in a file'
                )
            found[disk.target] = path
    return found


def run(
    hypervisor: connections.Hypervisor,
    uuid: str,
    request: OverRequest,
    files: Mapping[str, str],
    members: Sequence[Member],
    context: contract.TaskContext,
) -> None:
    """See ``importing.Imports.import_over``."""
    with hypervisor.domain(uuid, _NAME, context.check_active) as domain:
        domain.check_no_managed_save()
        journal = _journal(domain, files)
        context.step('prepare', journal)
        try:
            firmware.capture(
                domain.host.storage, domain.definition(), journal.firmware
            )
            context.step('define')
            lost = _change(domain, request, files, members)
        except (libvirt.libvirtError, exceptions.HawkFishError):
            if domain.host.is_alive:
                _undo(domain, journal, files, context)
            raise
        context.step('finish')
        _tidy(domain, journal, files, context)
        for what in lost:
            context.add_message(received.LEFT_OUT, what)


def _journal(domain: Domain, files: Mapping[str, str]) -> OverJournal:
    definition = domain.definition()
    folder = posixpath.dirname(next(iter(files.values())))
    kinds = firmware.files(domain.host.storage, definition, domain.is_active)
    return OverJournal(
        domain.text(inactive=True, secure=True),
        domain.power_state,
        list(_tops(domain).values()),
        filenames.firmware_copies(folder, filenames.new_token(), kinds),
    )


def _change(
    domain: Domain,
    request: OverRequest,
    files: Mapping[str, str],
    members: Sequence[Member],
) -> list[str]:
    """Put the system on its new files; returns what was left out."""
    host = domain.host
    disks = {
        one.target or '': files[one.name]
        for one in received.of_role(members, manifest.DISK)
    }
    present = domain.definition(inactive=True, secure=True)
    # Before it is stopped, so that what libvirt refuses stops nobody.
    wanted = revert_xml.put_on(present, disks, present, ())
    domain = domains.define(host, xml.render(wanted))
    if domain.is_active:
        domain.destroy()
    copies = received.firmware_of(files, members)
    firmware.restore(host.storage, domain.name, wanted, copies)
    if request.memory:
        _load(domain, wanted, files, members)
        if request.start:
            domain.again().resume()
    elif request.start:
        domain.start(contract.ON)
    return received.lost(files, members)


def _load(
    domain: Domain,
    wanted: xml.Element,
    files: Mapping[str, str],
    members: Sequence[Member],
) -> None:
    """Load the memory; the system stays paused."""
    host = domain.host
    (member,) = received.of_role(members, manifest.MEMORY)
    path = files[member.name]
    head = received.head(host, path)
    # libvirt compares all else with what the system is.
    for tag in ('name', 'uuid'):
        element = head.definition.find(tag)
        if element is not None:
            element.text = wanted.findtext(tag)
    try:
        host.storage.write_at(path, 0, head.replaced(head.definition))
    except image_heads.Damaged as exc:
        raise exceptions.BundleInvalid(f'its memory: {exc}') from exc
    domains.restore(host, path, xml.render(wanted))


def settle(
    hypervisor: connections.Hypervisor,
    uuid: str,
    files: Mapping[str, str],
    context: contract.TaskContext,
) -> None:
    """See ``importing.Imports.settle_over``."""
    with hypervisor.domain(uuid, _NAME, context.check_active) as domain:
        journal = context.recall(OverJournal)
        runs = domain.is_active and not domain.is_paused
        if context.last_step == 'finish' or (
            runs and _is_on(domain, files.values())
        ):
            # Somebody may have let it run there; that is not lost.
            _tidy(domain, journal, files, context)
            return
        if not journal.domain_xml:
            # Nothing of the system was changed yet.
            leftovers.remove(domain.host, files.values(), context)
        else:
            _undo(domain, journal, files, context)
    raise exceptions.OperationInterrupted(_NAME, 'the system is as it was')


def _is_on(domain: Domain, paths: Collection[str]) -> bool:
    """Whether the disks that are in use now are among *paths*."""
    disks = xml.disks(domain.again().definition())
    return any(disk.path in paths for disk in disks)


def _undo(
    domain: Domain,
    journal: OverJournal,
    files: Mapping[str, str],
    context: contract.TaskContext,
) -> None:
    """Bring the system back to where it was; its memory may be lost."""
    host, domain = domain.host, domain.again()
    if domain.is_active and _is_on(domain, files.values()):
        domain.destroy()
    if {*_tops(domain).values()} != {*journal.tops}:
        domain = domains.define(host, journal.domain_xml)
    if not domain.is_active and journal.firmware:
        firmware.restore(
            host.storage,
            domain.name,
            xml.parse(journal.domain_xml),
            {
                kind: path
                for kind, path in journal.firmware.items()
                if host.storage.exists(path)
            },
        )
    if not domain.is_active and journal.power_state != contract.OFF:
        domain.start(journal.power_state)
    made = [*files.values(), *journal.firmware.values()]
    leftovers.remove(host, made, context)


def _tidy(
    domain: Domain,
    journal: OverJournal,
    files: Mapping[str, str],
    context: contract.TaskContext,
) -> None:
    """Remove what the change has used, and the overlays of before."""
    on = {*_tops(domain.again()).values()}
    used = [path for path in files.values() if path not in on]
    leftovers.remove(domain.host, [*used, *journal.firmware.values()], context)
    ours = [path for path in journal.tops if filenames.is_ours(path)]
    leftovers.discard(domain.again(), ours, context)
