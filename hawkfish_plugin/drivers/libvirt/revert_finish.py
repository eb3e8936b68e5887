# SPDX-License-Identifier: Apache-2.0
"""
The end of a revert that has taken place.

Owns the steps ``finish``, which puts the firmware back, and ``start``, which
lets the system have the power state that was asked for and removes what is not
needed any more.  Both may be interrupted, and run again.
"""

import contextlib

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    agent,
    errors,
    firmware,
    leftovers,
    reverting,
    undo,
    unsafe,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.ledger import Ledger
from hawkfish_plugin.drivers.libvirt.reverting import Reverting

_ENDED = 'its QEMU has ended after it had loaded the memory'
_STATES = {'nvram': 'UEFI variables', 'tpm': 'state of a virtual TPM'}


def run(
    revert: Reverting,
    conf: cfg.ConfigOpts,
    ledger: Ledger,
    settles: bool = False,
) -> None:
    """
    Complete a revert that has taken place; may be called again.

    *settles* one that was interrupted, since when others may have been here.
    """
    try:
        _finish(revert, revert.domain.again(), ledger, settles)
    except libvirt.libvirtError as exc:
        revert.domain.host.raise_if_lost(exc)
        raise exceptions.RevertUnfinished(
            revert.name, errors.text(exc)
        ) from exc
    _set_clock(revert, conf)


def _finish(
    revert: Reverting, domain: Domain, ledger: Ledger, settles: bool
) -> None:
    journal, context = revert.journal, revert.context
    if context.last_step != 'start':
        _stop(revert, domain)
        _restore_firmware(revert, domain)
        context.step('start')
    _meet_loaded(revert)
    if not settles:
        _check_loaded(revert, domain)
    _set_power(revert, domain, ledger)
    # The way back ends here.
    firmware.forget(domain.host, journal.firmware, context)
    if revert.external:
        _remove_old(revert, domain)


def _meet_loaded(revert: Reverting) -> None:
    """All of a group go on at the same time, or none does."""
    try:
        revert.context.meet(contract.Meeting.LOADED)
    except exceptions.MeetingMissed:
        # What libvirt has reverted by itself is not to be undone.
        if revert.is_ours:
            raise


def _remove_old(revert: Reverting, domain: Domain) -> None:
    leftovers.discard(domain, revert.journal.discarded, revert.context)


# Power -----------------------------------------------------------------------


def _is_paused(domain: Domain) -> bool:
    return domain.is_active and domain.is_paused


def _stop(revert: Reverting, domain: Domain) -> None:
    off = revert.power_state == contract.OFF
    if revert.memory and off and _is_paused(domain):
        domain.destroy()


def _check_loaded(revert: Reverting, domain: Domain) -> None:
    """Raise where the QEMU that has loaded the memory has ended since."""
    # It may have waited for others of its group.
    loaded = revert.is_ours and revert.memory
    if loaded and revert.power_state != contract.OFF and not domain.is_active:
        raise _not_started(revert, domain, _ENDED)


def _set_power(revert: Reverting, domain: Domain, ledger: Ledger) -> None:
    # Only what the call has left to do: whoever was here since then may
    # have had reasons.
    wanted = revert.power_state
    if revert.memory:
        # libvirt's own revert has done so.
        waits = revert.is_ours and wanted == contract.ON
        if waits and _is_paused(domain):
            domain.resume()
    elif wanted != contract.OFF and not domain.is_active:
        _start(revert, domain, wanted, ledger)


def _start(
    revert: Reverting, domain: Domain, power_state: str, ledger: Ledger
) -> None:
    """Start it; undoes the revert of a system that does not start."""
    try:
        _check_start(revert, domain, ledger)
        domain.start(power_state)
    except (libvirt.libvirtError, exceptions.Unsafe) as exc:
        if isinstance(exc, libvirt.libvirtError):
            domain.host.raise_if_lost(exc)
            reason = errors.text(exc)
        else:
            reason = messages.text(exc).rstrip('.')
        raise _not_started(revert, domain, reason) from exc


def _not_started(
    revert: Reverting, domain: Domain, reason: str
) -> exceptions.HawkFishError:
    """Undo the revert where that can be done; returns what became of it."""
    if undo.can_be_undone(revert):
        return undo.run(revert, reason)
    # What others have used, or begun to remove, is not undone.
    if not revert.is_ours:
        copies = revert.journal.firmware
        firmware.forget(domain.host, copies, revert.context)
    return exceptions.RevertNotStarted(revert.name, reason)


def _check_start(revert: Reverting, domain: Domain, ledger: Ledger) -> None:
    """Raise where somebody has defined what would overwrite others' data."""
    fresh = revert.journal.created.values() if revert.is_ours else ()
    listed = contract.Freshness.LISTED
    # What the system is on was looked at before it was stopped.  A neighbour
    # that does not answer by now is no reason to leave it so.
    with contextlib.suppress(
        exceptions.NotAnswering,
        exceptions.FolderUnreadable,
        exceptions.PoolNotActive,
    ):
        unsafe.check_start(domain, ledger, listed, fresh=fresh)


def _set_clock(revert: Reverting, conf: cfg.ConfigOpts) -> None:
    domain = revert.domain.again()
    running = domain.power_state == contract.ON
    if revert.memory and running and conf.revert.sync_guest_time:
        seconds = conf.snapshots.quiesce_timeout
        agent.set_clock(domain, seconds, revert.context, _has_agent(revert))


def _has_agent(revert: Reverting) -> bool:
    """
    Whether the guest is taken to have an agent.

    That was seen while it ran.  Whether it had one when it was captured QEMU
    tells as soon as it runs again.
    """
    journal = revert.journal
    return (
        journal.power_state == contract.OFF
        or xml.agent_state(xml.parse(journal.live_xml)) == 'connected'
    )


# Firmware --------------------------------------------------------------------


def _restore_firmware(revert: Reverting, domain: Domain) -> None:
    if domain.is_active or (
        revert.is_ours and undo.find(revert) == undo.Place.USED
    ):
        return
    for kind, path in reverting.copies_to_restore(
        revert.target, revert.power_state, revert.memory
    ).items():
        _restore_copy(revert, domain, kind, path)
    for words in _without_copy(revert):
        revert.context.add_message(
            messages.FIRMWARE_NOT_RESTORED,
            revert.name,
            f'It holds no {words}',
        )


def _restore_copy(
    revert: Reverting, domain: Domain, kind: str, path: str
) -> None:
    definition = domain.definition(inactive=True, secure=True)
    storage = domain.host.storage
    try:
        firmware.restore(storage, revert.name, definition, {kind: path})
    except (
        exceptions.SnapshotFileMissing,
        exceptions.SnapshotFileDamaged,
        exceptions.FolderUnusable,
    ) as exc:
        revert.context.add_message(
            messages.FIRMWARE_NOT_RESTORED,
            revert.name,
            messages.text(exc).removesuffix('.'),
        )


def _without_copy(revert: Reverting) -> list[str]:
    """What of the firmware only a copy would bring back, and has none."""
    domain, target = revert.root.find('domain'), revert.target
    if target.record.memory or domain is None:
        return []
    kinds = xml.firmware(domain, off=True).keys() - target.copies.keys()
    # Variables in a raw file forbid an internal snapshot, and those in a
    # qcow2 file are part of it.
    if not target.record.external:
        kinds -= {'nvram'}
    return [words for kind, words in _STATES.items() if kind in kinds]
