# SPDX-License-Identifier: Apache-2.0
"""
Revert, the dangerous operation.

An external snapshot is reverted to without libvirt's own revert, which stops
the guest first and checks later, and whose failures leave the definition on
files that other snapshots need.  All that can be known is looked at while the
guest runs (``revert_plan``), and the new overlays are made then, too.  What
follows can be undone at any moment, as the old overlays are removed last
(``undo``): the definition never names a file that a snapshot holds.

Steps: ``prepare`` notes what the way back needs and makes the overlays,
``revert`` is the change itself, ``finish`` puts the firmware back, and
``start`` gives the system its power state (``revert_finish``).  Internal
snapshots are left to libvirt (``libvirt_revert``).
"""

import contextlib
import posixpath
from collections.abc import Mapping

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    connections,
    domain_jobs,
    domains,
    errors,
    filenames,
    firmware,
    libvirt_revert,
    memory_images,
    revert_finish,
    revert_plan,
    revert_xml,
    reverting,
    snapshot_xml,
    snapshots,
    undo,
    unsafe,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.journals import RevertJournal
from hawkfish_plugin.drivers.libvirt.ledger import Ledger
from hawkfish_plugin.drivers.libvirt.revert_plan import Plan
from hawkfish_plugin.drivers.libvirt.reverting import Reverting

# What ends a change in the middle; whatever does not answer is waited for.
_Failure = libvirt.libvirtError | exceptions.Conflict | exceptions.NotFound
_FAILURES = (
    libvirt.libvirtError,
    exceptions.Conflict,
    exceptions.NotFound,
)


def run(
    hypervisor: connections.Hypervisor,
    uuid: str,
    request: contract.RevertRequest,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
    ledger: Ledger,
) -> None:
    """Revert as *request* asks for."""
    with hypervisor.domain(
        uuid, contract.REVERT, context.check_active
    ) as domain:
        planned = revert_plan.make(domain, request, conf, ledger)
        full = contract.Freshness.FULL
        revert_plan.check_removed(domain, planned, ledger, full)
        revert = _prepare(domain, request, planned, context, ledger)
        _report(revert, planned)
        _meet_prepared(revert)
        context.step('revert')
        try:
            if revert.is_ours:
                _change(revert)
            else:
                libvirt_revert.call(revert)
        except _FAILURES as exc:
            failure = _failure(revert, exc)
            if failure:
                raise failure from exc
        # Found out anew where it is not known.
        context.step('finish', durable=False)
        try:
            revert_finish.run(revert, conf, ledger)
        except exceptions.MeetingMissed as exc:
            raise _give_up(revert, exc) from exc


def _meet_prepared(revert: Reverting) -> None:
    try:
        revert.context.meet(contract.Meeting.PREPARED)
    except exceptions.MeetingMissed:
        undo.clean_up(revert)
        raise


def _give_up(
    revert: Reverting, missed: exceptions.MeetingMissed
) -> exceptions.HawkFishError:
    """Bring back a system whose group is not complete."""
    # As if the change itself had failed, also for who settles it.
    revert.context.step('revert')
    reason = messages.text(missed).rstrip('.')
    undone = undo.run if revert.is_ours else libvirt_revert.failure
    failure = undone(revert, reason)
    if isinstance(failure, exceptions.RevertUndone):
        # Whoever asks for all of them wants to know who has failed by itself.
        return exceptions.RevertGivenUp(*failure.args)
    if failure is None or isinstance(failure, exceptions.OperationFailed):
        return missed
    return failure


_INTERRUPTED = 'it was interrupted'
_STARTED = 'somebody has started the system before the end of the revert'


def settle(
    hypervisor: connections.Hypervisor,
    uuid: str,
    request: contract.RevertRequest,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
    ledger: Ledger,
) -> None:
    domain_jobs.until_idle(hypervisor, uuid, context)
    with hypervisor.domain(
        uuid, contract.REVERT, context.check_active
    ) as domain:
        revert = reverting.begun(domain, request, context)
        if context.last_step == 'prepare':
            undo.clean_up(revert)
            if not revert.is_ours:
                libvirt_revert.end_older(revert)
            raise exceptions.OperationInterrupted(
                contract.REVERT, 'the system is as it was'
            )
        if revert.journal.undoing:
            raise undo.run(revert, _INTERRUPTED)
        if not revert.is_ours:
            libvirt_revert.check_target(revert)
        if context.last_step == 'revert':
            _settle_change(revert)
        if not revert.is_ours:
            libvirt_revert.end_older(revert)
        revert_finish.run(revert, conf, ledger, settles=True)


def _failure(
    revert: Reverting, error: _Failure
) -> exceptions.HawkFishError | None:
    """
    What became of the system in a change that *error* has ended.

    None where it did take place after all.
    """
    if isinstance(error, libvirt.libvirtError):
        revert.domain.host.raise_if_lost(error)
        reason = errors.text(error)
        if not revert.is_ours:
            return libvirt_revert.failure(revert, reason)
    elif revert.is_ours:
        reason = messages.text(error).rstrip('.')
    else:
        # libvirt was not asked yet.
        return error
    return undo.run(revert, reason)


# Before --------------------------------------------------------------------


def _prepare(
    domain: Domain,
    request: contract.RevertRequest,
    planned: Plan,
    context: contract.TaskContext,
    ledger: Ledger,
) -> Reverting:
    """Note what the way back needs, and make the new overlays."""
    # The id of a domain is that of the handle's look-up: looked up anew.
    noted = _journal(domain.again(), planned)
    _check_definitions(domain, planned, noted, ledger)
    context.step('prepare', noted)
    revert = reverting.begun(domain, request, context)
    journal, storage = revert.journal, domain.host.storage
    try:
        for target, path in journal.created.items():
            base = planned.bases[target]
            storage.make_overlay(path, base.path, base.format, contract.REVERT)
        live = xml.parse(journal.live_xml)
        firmware.capture(storage, live, journal.firmware)
    except (libvirt.libvirtError, exceptions.Conflict):
        if domain.host.is_alive:
            undo.clean_up(revert)
        raise
    return revert


def _check_definitions(
    domain: Domain, planned: Plan, journal: RevertJournal, ledger: Ledger
) -> None:
    """Raise where the system would write to what anything else needs."""
    if not journal.created:
        return
    definitions = [xml.parse(journal.next_xml)]
    if planned.image is not None:
        definitions.append(_loaded(planned.image, journal))
    listed, fresh = contract.Freshness.LISTED, journal.created.values()
    for definition in definitions:
        unsafe.check_start(domain, ledger, listed, definition, fresh)


def _loaded(image: xml.Element, journal: RevertJournal) -> xml.Element:
    """The definition in a memory *image*, with the disks that it gets."""
    present = xml.parse(journal.domain_xml)
    return revert_xml.put_on(image, journal.created, present, journal.gone)


def _journal(domain: Domain, planned: Plan) -> RevertJournal:
    current = snapshots.current(domain)
    present = domain.text(inactive=True, secure=True)
    token = filenames.new_token()
    place = domain.host.storage.place
    created = {
        target: place(
            filenames.overlay(base.path, token, target, planned.overlay_dir)
        )
        for target, base in planned.bases.items()
    }
    return RevertJournal(
        snapshot_xml=xml.render(planned.root),
        domain_xml=present,
        live_xml=domain.text(secure=True),
        power_state=domain.power_state,
        domain_id=domain.id,
        current=current,
        current_xml=current and _text(domain, current),
        next_xml=_next_start(domain, planned, created, xml.parse(present)),
        created=created,
        gone=planned.gone,
        loads_memory=planned.image is not None,
        discarded=planned.discarded,
        firmware=_new_copies(domain, created, token),
    )


def _text(domain: Domain, name: str) -> str:
    return xml.render(snapshots.describe(domain, name))


def _next_start(
    domain: Domain,
    planned: Plan,
    created: Mapping[str, str],
    present: xml.Element,
) -> str:
    captured = revert_xml.next_start(planned.root, domain.name)
    return xml.render(
        revert_xml.put_on(captured, created, present, planned.gone)
    )


def _new_copies(
    domain: Domain, created: Mapping[str, str], token: str
) -> dict[str, str]:
    """Where the present state of the firmware is kept meanwhile."""
    if not created:
        return {}
    return filenames.firmware_copies(
        posixpath.dirname(next(iter(created.values()))),
        token,
        firmware.files(
            domain.host.storage, domain.definition(), domain.is_active
        ),
    )


def _report(revert: Reverting, planned: Plan) -> None:
    since = revert.journal.current or 'the first one'
    context = revert.context
    context.add_message(messages.STATE_DISCARDED, revert.domain.name, since)
    for warning in planned.warnings:
        context.add_message(warning.message_id, *warning.args)
    for medium in planned.gone:
        for disk in planned.target.captured:
            if disk.path == medium:
                context.add_message(
                    messages.MEDIA_EJECTED,
                    medium,
                    disk.target,
                    'it is gone',
                )


# The change ------------------------------------------------------------------


def _change(revert: Reverting) -> None:
    """Put the system on its new overlays; can be repeated."""
    domain, journal = revert.domain.again(), revert.journal
    # What a guest that ends by itself right now would start with next.
    domain = domains.define(domain.host, journal.next_xml)
    if domain.is_active:
        domain.destroy()
    if journal.loads_memory:
        _load_memory(revert)
    _note(revert)


def _load_memory(revert: Reverting) -> None:
    path = revert.target.memory_file or ''
    image = memory_images.definition(revert.domain, path)
    definition = xml.render(_loaded(image, revert.journal))
    domains.restore(revert.domain.host, path, definition)


def _note(revert: Reverting) -> None:
    """Let libvirt know which snapshot the system grows from, and how."""
    root = reverting.describe_target(revert)
    listed = snapshot_xml.external_disks(root)
    paths = dict.fromkeys(listed) | dict(revert.journal.created)
    snapshot_xml.set_revert_disks(root, paths)
    snapshots.make_current(revert.domain, root)


# Settling --------------------------------------------------------------------


def _settle_change(revert: Reverting) -> None:
    """Complete a change that was interrupted, or raise what became of it."""
    failure = (
        _settle_ours(revert)
        if revert.is_ours
        else libvirt_revert.settle(revert)
    )
    if failure:
        raise failure


def _settle_ours(revert: Reverting) -> exceptions.HawkFishError | None:
    place, active = undo.find(revert), revert.domain.is_active
    if place == undo.Place.UNTOUCHED:
        undo.take_back(revert)
        return exceptions.OperationInterrupted(
            contract.REVERT, 'the system is as it was'
        )
    if place == undo.Place.OTHER:
        return exceptions.RevertNotUndone(
            revert.name, _INTERRUPTED, undo.BY_OTHERS
        )
    if place == undo.Place.BEFORE:
        # It was stopped by others, and may have been used since.
        undo.take_back(revert)
        now = 'running' if active else 'off'
        now += ', as somebody has started or stopped it'
        return exceptions.RevertUndone(revert.name, _INTERRUPTED, now)
    if place == undo.Place.USED and not _goes_on(revert):
        return _leave_to_others(revert)
    # What is left of the change, as the guest is stopped anyway.
    rest = _note if active else _change
    try:
        rest(revert)
    except _FAILURES as exc:
        return _failure(revert, exc)
    return None


def _goes_on(revert: Reverting) -> bool:
    """Whether a guest that somebody lets run is what was asked for."""
    domain = revert.domain
    return domain.is_active and not (revert.memory and domain.is_booted)


def _leave_to_others(revert: Reverting) -> exceptions.HawkFishError:
    """Note what a guest that somebody has started grows from."""
    # Where its snapshot is gone it grows from none.
    with contextlib.suppress(exceptions.NotFound, exceptions.Conflict):
        _note(revert)
    return exceptions.RevertUnfinished(revert.name, _STARTED)
