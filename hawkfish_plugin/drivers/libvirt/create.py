# SPDX-License-Identifier: Apache-2.0
"""
Create: one libvirt call, and what makes its result revertable.

Steps: ``prepare`` notes the files to come, ``freeze`` flushes the guest's
file systems, ``capture`` is the call, ``finish`` names pool volumes by their
paths and copies of the firmware by their snapshot.  Killed at any of them,
``settle`` resumes and thaws the guest, and finishes what libvirt has, or
removes the files that it left.
"""

import dataclasses
from collections.abc import Collection

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    agent,
    common_pause,
    connections,
    create_finish,
    domain_jobs,
    filenames,
    firmware,
    plan,
    quiesce,
    snapshot_xml,
    snapshots,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.journals import (
    CaptureNote,
    CreateJournal,
    HoldNote,
)
from hawkfish_plugin.drivers.libvirt.new_files import NewFiles

# Why there is no copy, by the kind of state.
_NOT_CAPTURED = {
    'nvram': 'its UEFI variables are in a qcow2 file, of which QEMU keeps a '
    'part to itself while it runs',
    'tpm': 'nobody can tell where libvirt keeps its virtual TPM, as that is '
    'the libvirt of a user on another host',
}


def run(
    hypervisor: connections.Hypervisor,
    uuid: str,
    request: contract.CreateRequest,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> contract.Created:
    with hypervisor.domain(
        uuid, contract.CREATE, context.check_active
    ) as domain:
        create = _Create(domain, request, conf, context)
        create.prepare()
        create.warn()
        quiesced = create.quiesce()
        with domain_jobs.watched(hypervisor, uuid, context) as watch:
            quiesced = create.capture(quiesced, watch)
        # Found out anew where it is not known.
        context.step('finish', HoldNote(), durable=False)
        made = create_finish.run(
            domain, request, create.journal, quiesced, context
        )
        return dataclasses.replace(made, capture=create.captured)


def settle(
    hypervisor: connections.Hypervisor,
    uuid: str,
    request: contract.CreateRequest,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> contract.Created:
    domain_jobs.until_idle(hypervisor, uuid, context)
    journal = context.recall(CreateJournal)
    with hypervisor.domain(
        uuid, contract.CREATE, context.check_active
    ) as domain:
        create_finish.resume(domain, journal)
        if journal.frozen and domain.is_active:
            agent.thaw(domain, conf.snapshots.quiesce_timeout, context)
        # Noted right before the call.
        if journal.quiesce and create_finish.is_made(
            domain, request.name, journal.files
        ):
            quiesced = journal.quiesced()
            return create_finish.run(
                domain, request, journal, quiesced, context
            )
        left = create_finish.remove_files(domain, journal.files, context)
    said = (
        f'{left[0]!r} was left of it'
        if left
        else 'what was left of it is gone'
    )
    raise exceptions.OperationInterrupted(
        contract.CREATE, f'there is no such snapshot, and {said}'
    )


def made_by(
    hypervisor: connections.Hypervisor,
    uuid: str,
    name: str,
    journal: contract.Journal,
) -> int | None:
    """See ``contract.Driver``."""
    with hypervisor.domain(uuid, 'list') as domain:
        files = journal.recall(CreateJournal).files
        return create_finish.made_with(domain, name, files)


class _Create:
    """A create under way, until libvirt has made the snapshot."""

    def __init__(
        self,
        domain: Domain,
        request: contract.CreateRequest,
        conf: cfg.ConfigOpts,
        context: contract.TaskContext,
    ) -> None:
        self.domain = domain
        self.request = request
        self.conf = conf
        self.context = context
        self.planned = plan.make(domain, request, conf)
        if snapshots.exists(domain, request.name):
            raise exceptions.SnapshotExists(request.name)
        self.captured: contract.Capture | None = None
        self.definition = domain.definition()
        self.new = self._placed(self.planned.files)
        self.journal = CreateJournal(
            files=self.new.all,
            volumes=self.planned.volumes,
            firmware=self.new.copies,
            power_state=domain.power_state,
        )

    def _placed(self, files: NewFiles) -> NewFiles:
        """*files*, where they can be made."""
        if not self._would_be_readable():
            return files
        # It is we who make the overlays.
        place = self.domain.host.storage.place
        overlays = {t: place(path) for t, path in files.overlays.items()}
        return dataclasses.replace(files, overlays=overlays)

    def prepare(self) -> None:
        self.context.step('prepare', self.journal)
        for need in self.planned.needs:
            self.context.add_message(
                messages.SPACE_ESTIMATED,
                need.folder,
                need.needed,
                need.available,
            )
        self._check_cancelled()

    def _check_cancelled(self) -> None:
        if self.context.cancelled:
            raise exceptions.OperationCancelled(contract.CREATE)

    def warn(self) -> None:
        """Report which firmware state the snapshot will not contain."""
        if self.planned.memory:
            return
        present = xml.firmware(self.definition, off=True).keys()
        storage, copied = self.domain.host.storage, self.new.copies
        found = firmware.files(storage, self.definition, active=False)
        for kind in sorted(present) if self.planned.external else ():
            if kind not in copied or kind not in found:
                self.context.add_message(
                    messages.FIRMWARE_NOT_CAPTURED,
                    self.request.name,
                    _NOT_CAPTURED[kind],
                )
        if not self.planned.external and 'tpm' in present:
            self.context.add_message(
                messages.TPM_NOT_CAPTURED, self.domain.name
            )

    def quiesce(self) -> contract.Quiesce:
        """Do what is to be done before the capture, and say how it went."""
        quiesced = quiesce.before(
            self.domain, self.planned, self.conf, self.context
        )
        # Between the flush and libvirt's job there is nothing to abort.
        self._check_cancelled()
        return quiesced

    def capture(
        self, quiesced: contract.Quiesce, watch: domain_jobs.Watch
    ) -> contract.Quiesce:
        """
        Let libvirt make the snapshot; say how it went with quiescing.

        Whatever goes wrong, none of the files stay.
        """
        try:
            flags = self._flags()
            if self._would_be_readable():
                flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
                self._make_overlays()
            if self.planned.pauses:
                return self._call_paused(flags, quiesced)
            self._copy_firmware()
            self.context.meet(contract.Meeting.FLUSHED)
            if quiesced.status == contract.QUIESCED and self._is_disk_only():
                quiesced = self._call_quiesced(flags, quiesced)
            else:
                self._note(quiesced)
                self._call(flags)
        except libvirt.libvirtError as exc:
            if self.domain.host.is_alive:
                self._remove(self.new.all)
            self._check_aborted(exc, watch)
            raise
        except exceptions.Conflict:
            # Of the agent, of the folder of the copies, or of the group.
            self._remove(self.new.all)
            raise
        return quiesced

    def _copy_firmware(self) -> None:
        firmware.capture(
            self.domain.host.storage, self.definition, self.new.copies
        )

    def _call_paused(
        self, flags: int, quiesced: contract.Quiesce
    ) -> contract.Quiesce:
        """Make the snapshot in the common pause of the group."""
        # Its owner may have paused it since the plan was made.
        runs = self.domain.power_state == contract.ON
        seconds = common_pause.SUSPEND_SECONDS
        # Nothing is noted from the first suspension to the last resume.
        if quiesced.status != contract.QUIESCED or not self._is_disk_only():
            self._note(quiesced, suspended=runs)
            common_pause.begin(self.context)
            self._call_held(flags, seconds)
            return quiesced
        # Frozen no sooner than the others can be, whose agents take as long.
        common_pause.begin(self.context)
        with quiesce.frozen(
            self.domain, self.planned, self.conf, self.context
        ) as quiesced:
            self._note(quiesced, frozen=True, suspended=runs)
            patience = self.conf.snapshots.quiesce_timeout
            self._call_held(flags, seconds + patience)
        return quiesced

    def _call_held(self, flags: int, seconds: float) -> None:
        """The call, while the system is suspended with all of its group."""
        with common_pause.held(self.domain, self.context, seconds) as pause:
            self._copy_firmware()
            self._call(flags)
        self.captured = pause.capture
        if pause.capture is None:
            # Then its snapshot does not say that it ran.
            self.journal = dataclasses.replace(
                self.journal, power_state=self.domain.power_state
            )

    def _remove(self, files: Collection[str]) -> None:
        create_finish.remove_files(self.domain, files, self.context)

    def _is_disk_only(self) -> bool:
        return self.planned.external and not self.planned.memory

    def _call_quiesced(
        self, flags: int, quiesced: contract.Quiesce
    ) -> contract.Quiesce:
        """
        Make a snapshot of disks alone while libvirt keeps them frozen.

        Where the agent fails, one without that, unless it is required.
        """
        # Memory is flushed before; libvirt freezes disks alone by itself.
        frozen = flags | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE
        try:
            self._note(quiesced, frozen=True)
            with agent.failures(self.domain):
                self._call(frozen)
            return quiesced
        except agent.AgentError as exc:
            seconds = self.conf.snapshots.quiesce_timeout
            agent.thaw(self.domain, seconds, self.context)
            # Where it was the thaw that failed, the system writes to them.
            self._remove(filenames.overlays(self.new.all))
            quiesced = quiesce.failed(
                self.domain, self.planned, exc, self.context
            )
        self._note(quiesced)
        self._call(flags)
        return quiesced

    def _note(
        self,
        quiesced: contract.Quiesce,
        frozen: bool = False,
        suspended: bool = False,
    ) -> None:
        how = dataclasses.asdict(quiesced)
        self.context.step('capture', CaptureNote(frozen, suspended, how))

    def _call(self, flags: int) -> None:
        text = _text(self.request, self.planned, self.new)
        # It is aborted at the deadline of the task, if it can be.
        self.domain.changed(
            lambda: self.domain.handle.snapshotCreateXML(text, flags),
            more=self.conf.tasks.deadline,
        )

    def _flags(self) -> int:
        if not self.planned.external:
            return 0
        if self.planned.memory and self.planned.pauses:
            return 0
        if self.planned.memory:
            # The guest runs on while its memory is written, but for the end.
            return libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_LIVE
        return (
            libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
            | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
        )

    def _would_be_readable(self) -> bool:
        """Whether libvirt would make the overlays readable by all users."""
        private = self.domain.host.makes_private_overlays
        return bool(
            self.planned.files.overlays
            and not private
            and not self.domain.is_active
        )

    def _make_overlays(self) -> None:
        for target, path in self.new.overlays.items():
            self.domain.host.storage.make_overlay(
                path,
                self.planned.paths[target],
                self.planned.formats[target],
                contract.CREATE,
            )

    def _check_aborted(
        self, error: libvirt.libvirtError, watch: domain_jobs.Watch
    ) -> None:
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_ABORTED:
            return
        if watch.cancelled:
            raise exceptions.OperationCancelled(contract.CREATE) from error
        if watch.overdue:
            raise exceptions.OperationTimedOut(
                contract.CREATE, self.conf.tasks.deadline
            ) from error


def _text(
    request: contract.CreateRequest, planned: plan.Plan, files: NewFiles
) -> str:
    """The snapshot as libvirt is asked for it."""
    if not planned.external:
        return snapshot_xml.internal_snapshot(
            request.name, request.description, planned.paths, planned.left_out
        )
    return snapshot_xml.external_snapshot(
        request.name,
        request.description,
        files.memory,
        files.overlays,
        planned.left_out,
    )
