# SPDX-License-Identifier: Apache-2.0
"""
Revert, the dangerous operation.

libvirt stops the guest first and checks later, and a revert that fails leaves
the definition pointing at the base image, where the next start would destroy
every snapshot.  So what can be checked is checked and noted before
(``prepare``), one call is made (``revert``), and whatever goes wrong in it is
undone at once (see ``undo``).  ``finish`` and ``start`` complete a
revert that has taken place (see ``revert_finish``).  Nothing is ever done on
the strength of the journal alone: what is found decides.
"""

import posixpath
import threading
import time
from collections.abc import Sequence

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    connections,
    domain_jobs,
    errors,
    filenames,
    firmware,
    leftovers,
    parsed,
    removable_media,
    revert_checks,
    revert_disks,
    revert_finish,
    reverting,
    snapshots,
    undo,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.journals import RevertJournal
from hawkfish_plugin.drivers.libvirt.reverting import Reverting

# libvirt names the new overlays by the second of the clock, and stops the
# guest before it finds out that the name is taken.
_SECONDS_BETWEEN = 1.1


class Pauses:
    """Keeps two reverts of one domain from the same second."""

    def __init__(self) -> None:
        # When the last call for each domain ended, by its UUID.
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, uuid: str) -> None:
        """Wait until a revert of the domain *uuid* may be called."""
        with self._lock:
            ready = self._last.get(uuid, 0.0) + _SECONDS_BETWEEN
        time.sleep(max(0.0, ready - time.monotonic()))

    def note(self, uuid: str) -> None:
        """A revert of the domain *uuid* was called, and has ended."""
        with self._lock:
            self._last[uuid] = time.monotonic()


class Reverts:
    """Reverts the domains of one hypervisor."""

    def __init__(
        self, hypervisor: connections.Hypervisor, conf: cfg.ConfigOpts
    ) -> None:
        self._hypervisor = hypervisor
        self._conf = conf
        self._pauses = Pauses()

    def run(
        self,
        uuid: str,
        request: contract.RevertRequest,
        context: contract.TaskContext,
    ) -> None:
        with self._hypervisor.domain(uuid, 'revert') as domain:
            revert_checks.check(domain, request)
            revert_disks.correct(domain)
            revert = _prepare(domain, request, context)
            _report_losses(revert)
            self._pauses.wait(uuid)
            context.step('revert')
            try:
                _call(revert, self._pauses)
            except libvirt.libvirtError as exc:
                domain.host.raise_if_lost(exc)
                failure = undo.run(revert, errors.text(exc))
                if failure:
                    raise failure from exc
            # Found out anew where it is not known.
            context.step('finish', durable=False)
            revert_finish.run(revert, self._conf)

    def settle(
        self,
        uuid: str,
        request: contract.RevertRequest,
        context: contract.TaskContext,
    ) -> None:
        domain_jobs.until_idle(self._hypervisor, uuid)
        with self._hypervisor.domain(uuid, 'revert') as domain:
            revert = reverting.begun(domain, request, context)
            if context.last_step == 'prepare':
                removable_media.restore(domain, revert.root)
                firmware.forget(domain.host, revert.journal.firmware, context)
                raise exceptions.OperationInterrupted(
                    'revert', 'the system is as it was'
                )
            if context.last_step == 'revert':
                failure = undo.settle(revert)
                if failure:
                    raise failure
            revert_finish.settle(revert, self._conf)


# Before --------------------------------------------------------------------


def _prepare(
    domain: Domain,
    request: contract.RevertRequest,
    context: contract.TaskContext,
) -> Reverting:
    """Note what the way back needs, and take out what the call cannot bear."""
    root = snapshots.describe(domain, request.name)
    # The id of a domain is that of the handle's look-up: looked up anew.
    context.step('prepare', _journal(domain.again(), root))
    revert = reverting.begun(domain, request, context)
    journal, host = revert.journal, domain.host
    try:
        live = xml.parse(journal.live_xml)
        firmware.capture(host.storage, live, journal.firmware)
        if revert.external:
            removable_media.eject(domain, root)
    except (libvirt.libvirtError, exceptions.FolderMissing):
        if host.is_alive:
            firmware.forget(host, journal.firmware, context)
        raise
    return revert


def _journal(domain: Domain, root: xml.Element) -> RevertJournal:
    target, storage = parsed.parse(root), domain.host.storage
    bases = reverting.bases(storage, target)
    return RevertJournal(
        snapshot_xml=xml.render(root),
        domain_xml=domain.text(inactive=True, secure=True),
        live_xml=domain.text(secure=True),
        power_state=domain.power_state,
        domain_id=domain.id,
        current=snapshots.current(domain),
        media=removable_media.to_insert(root, target.record.external),
        bases=bases,
        overlays=leftovers.revert_overlays(storage, bases),
        firmware=_new_copies(domain, bases),
    )


def _new_copies(domain: Domain, bases: Sequence[str]) -> dict[str, str]:
    """Where the present state of the firmware is kept meanwhile."""
    if not bases:
        return {}
    return filenames.firmware_copies(
        posixpath.dirname(bases[0]),
        filenames.new_token(),
        xml.firmware(domain.definition(secure=True), not domain.is_active),
    )


def _report_losses(revert: Reverting) -> None:
    since = revert.journal.current or 'the first one'
    context = revert.context
    context.add_message(
        'HawkFish.1.0.StateDiscarded', revert.domain.name, since
    )
    for warning in revert_checks.not_captured(revert.target):
        context.add_message(warning.message_id, *warning.args)


# The call ------------------------------------------------------------------


def _call(revert: Reverting, pauses: Pauses) -> None:
    domain = revert.domain
    snapshot = snapshots.find(domain, revert.name)
    try:
        domain.handle.revertToSnapshot(snapshot, _flags(revert))
    finally:
        pauses.note(domain.uuid)


def _flags(revert: Reverting) -> int:
    # Without FORCE libvirt refuses what needs a new QEMU process.
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_FORCE
    media, wanted = revert.journal.media, revert.power_state
    if revert.memory and wanted == contract.ON and not media:
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING
    elif revert.memory:
        # It waits for its media, or until it is stopped.
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED
    # One without memory is left off, and started afterwards: libvirt deletes
    # the old overlays before it starts it, so there is no way back from a
    # start that fails in this call.
    return flags
