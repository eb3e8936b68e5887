# SPDX-License-Identifier: Apache-2.0
"""
A backup of a domain.

QEMU itself writes the disks, of one moment, into files that were made before
in the repository: libvirt's push mode.  So each is a plain qcow2 file, and an
incremental one stands on the file of the backup before it.  A domain that is
off is read by a QEMU that runs for that alone (see ``offline``).
"""

import contextlib
import dataclasses
import posixpath
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.backups import (
    Backup,
    BackupRequest,
    Described,
)
from hawkfish_plugin.drivers.libvirt import (
    agent,
    backup_jobs,
    backup_plan,
    connections,
    domains,
    errors,
    export,
    filenames,
    firmware,
    journals,
    offline,
    quiesce,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.repository import Repository

_NAME = contract.BACKUP


@dataclasses.dataclass(frozen=True)
class BackupJournal(journals.HoldNote):
    """
    What a backup notes.

    Its *token*, the *folder* of its *pool* and its *files* there; *made* is
    all of it, once it is whole.
    """

    token: str = ''
    pool: str = ''
    folder: str = ''
    files: Sequence[str] = ()
    made: Mapping[str, Any] = dataclasses.field(default_factory=dict)


# The backup ----------------------------------------------------------------


def run(
    hypervisor: connections.Hypervisor,
    uuid: str,
    request: BackupRequest,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> Backup:
    """See ``backups.BacksUp.back_up``."""
    with hypervisor.domain(uuid, _NAME, context.check_active) as domain:
        planned = backup_plan.make(domain, request, conf)
        journal = BackupJournal(
            token=request.token,
            pool=planned.repository.pool,
            folder=planned.repository.folder,
            files=planned.files(request.token),
        )
        context.step('prepare', journal)
        try:
            with _reader(domain, planned) as reader:
                return _Making(reader, planned, request, conf, context).run()
        except (libvirt.libvirtError, exceptions.HawkFishError):
            if domain.host.is_alive:
                _undo(domain.host, domain, journal, context)
            raise
        except contract.Abandoned:
            # Nobody else would end its job; all of it is of its own name.
            with hypervisor.domain(uuid, _NAME) as again:
                _undo(again.host, again, journal, context)
            raise


@dataclasses.dataclass(frozen=True)
class Reader:
    """
    Who reads the disks of *system*: the same, or a domain for that alone.

    *targets* are what the disks are called there.
    """

    system: Domain
    domain: Domain
    targets: Mapping[str, str]


@contextlib.contextmanager
def _reader(domain: Domain, planned: backup_plan.Plan) -> Iterator[Reader]:
    names = list(planned.capacities)
    if domain.is_active:
        yield Reader(domain, domain, dict(zip(names, names, strict=True)))
        return
    with offline.stand_in(domain, names) as (made, targets):
        yield Reader(domain, made, targets)


class _Making:
    """One backup, from its files to what is noted of it."""

    def __init__(
        self,
        reader: Reader,
        planned: backup_plan.Plan,
        request: BackupRequest,
        conf: cfg.ConfigOpts,
        context: contract.TaskContext,
    ) -> None:
        self.reader = reader
        self.planned = planned
        self.request = request
        self.conf = conf
        self.context = context
        self.repository = planned.repository

    def run(self) -> Backup:
        token, domain = self.request.token, self.reader.domain
        bases, reason = self._bases()
        targets = self._make_files(bases)
        quiesced = self._begin(targets)
        self.context.step('copy', durable=False)
        backup_jobs.wait(domain, self.context, self.conf.tasks.deadline)
        parent = self._since if bases else None
        made = Backup(
            token,
            self.repository.pool,
            parent,
            reason,
            self.planned.power_state,
            quiesced.status,
            left_out=self.planned.left_out,
            hypervisor=export.versions(domain.host),
        )
        made = dataclasses.replace(made, members=self._members())
        self._describe(made)
        noted = self.context.recall(BackupJournal)
        noted = dataclasses.replace(noted, made=made.dump())
        self.context.step('finish', noted)
        _tidy(domain, token, others=True)
        return made

    # What it stands on ----------------------------------------------------

    @property
    def _since(self) -> str | None:
        return self.request.parent.token if self.request.parent else None

    def _bases(self) -> tuple[dict[str, str], str]:
        """
        The files of the parent to stand on, by target, and why there are none.
        """
        parent = self.request.parent
        if parent is None:
            return {}, self.request.reason
        if not self.planned.noting:
            return {}, 'its images cannot note what changes'
        found = {
            target: one.name
            for one in parent.members
            if one.role == manifest.DISK
            and (target := one.target or '') in self.planned.capacities
            and one.capacity == self.planned.capacities[target]
            and target in self.planned.noting
        }
        if not found:
            return {}, 'no disk is what it was at the last one'
        for name in found.values():
            if not self.repository.has(name):
                return {}, f'{self.repository.path(name)} is gone'
        targets = [self.reader.targets[target] for target in found]
        reason = backup_jobs.recall(self.reader.domain, parent.token, targets)
        if reason:
            self.context.add_message(
                messages.BACKUP_IS_FULL, self.reader.system.name, reason
            )
            return {}, reason
        return found, ''

    def _make_files(
        self, bases: Mapping[str, str]
    ) -> dict[str, backup_jobs.Target]:
        """The file for each disk, by its target in the domain that reads."""
        made = {}
        for target, capacity in self.planned.capacities.items():
            name = self.repository.disk(self.request.token, target)
            base = bases.get(target)
            self.repository.make_disk(name, capacity, base)
            made[self.reader.targets[target]] = backup_jobs.Target(
                self.repository.path(name), self._since if base else None
            )
        return made

    # The moment -----------------------------------------------------------

    def _begin(
        self, targets: Mapping[str, backup_jobs.Target]
    ) -> contract.Quiesce:
        """Begin the job, while the file systems are frozen if they can be."""
        system, planned = self.reader.system, self.planned
        quiesced = contract.Quiesce(contract.NOT_NEEDED)
        if self.reader.domain is system:
            quiesced = quiesce.before(system, planned, self.conf, self.context)
        if quiesced.status != contract.QUIESCED:
            self._begin_job(targets)
            return quiesced
        with quiesce.frozen(
            system, planned, self.conf, self.context
        ) as quiesced:
            self._begin_job(targets)
        return quiesced

    def _begin_job(self, targets: Mapping[str, backup_jobs.Target]) -> None:
        self._keep_firmware()
        backup_jobs.begin(
            self.reader.domain,
            self.request.token,
            targets,
            [self.reader.targets[target] for target in self.planned.noting],
        )

    def _keep_firmware(self) -> None:
        path = self.repository.path
        copies = {k: path(name) for k, name in self.planned.copies.items()}
        storage = self.reader.system.host.storage
        firmware.capture(storage, self.planned.root, copies)

    # What is noted of it --------------------------------------------------

    def _members(self) -> list[Member]:
        token = self.request.token
        definition = self.reader.system.text(inactive=True, secure=True)
        name = f'{filenames.backup(token)}.xml'
        self.repository.write(name, definition.encode())
        members = [self._member(name, manifest.DOMAIN)]
        for kind, copy in self.planned.copies.items():
            members.append(self._member(copy, manifest.FIRMWARE, kind))
        for target, capacity in self.planned.capacities.items():
            disk = self.repository.disk(token, target)
            member = self._member(disk, manifest.DISK, target)
            members.append(
                dataclasses.replace(member, format='qcow2', capacity=capacity)
            )
        return members

    def _member(
        self, name: str, role: str, target: str | None = None
    ) -> Member:
        size, checksum = self.repository.measure(name, self._check)
        return Member(name, role, size, checksum, target)

    def _check(self) -> None:
        if self.context.cancelled:
            raise exceptions.OperationCancelled(_NAME)

    def _describe(self, made: Backup) -> None:
        """Leave beside the files what they are."""
        system = self.reader.system
        described = Described(
            contract.System(system.uuid, system.name),
            made,
            self.request.description,
            time.time(),
        )
        self.repository.write_manifest(described)


def _tidy(domain: Domain, token: str, others: bool) -> None:
    """
    Let libvirt forget our checkpoints, and drop bitmaps.

    Those of *token*, or of all *others*.
    """
    backup_jobs.forget(domain)
    # They are of no use, but of no harm either.
    with errors.ignored(domain.host.connection):
        backup_jobs.drop_bitmaps(domain, token, others)


# When it fails -------------------------------------------------------------


def settle(
    hypervisor: connections.Hypervisor,
    uuid: str,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> Backup:
    """See ``backups.BacksUp.settle_backup``."""
    journal = context.recall(BackupJournal)
    with hypervisor.host(_NAME, context.check_active) as host:
        domain = None
        with contextlib.suppress(exceptions.SystemNotFound):
            domain = domains.find(host, uuid)
        if domain and journal.frozen and domain.is_active:
            agent.thaw(domain, conf.snapshots.quiesce_timeout, context)
        if context.last_step == 'finish':
            if domain:
                offline.end(domain)
                _tidy(domain, journal.token, others=True)
            return Backup.load(journal.made)
        _undo(host, domain, journal, context)
    raise exceptions.OperationInterrupted(_NAME, 'nothing of it was kept')


def _undo(
    host: Host,
    domain: Domain | None,
    journal: BackupJournal,
    context: contract.TaskContext,
) -> None:
    """Leave neither a job, nor a checkpoint, nor a file of the backup."""
    if domain:
        offline.end(domain)
        if _is_ours(domain, journal):
            backup_jobs.abort(domain)
        _tidy(domain, journal.token, others=False)
    _remove_files(host, journal, context)


def _remove_files(
    host: Host, journal: BackupJournal, context: contract.TaskContext
) -> None:
    """Remove the files that were made; report what cannot be, or be known."""
    away = ''
    try:
        Repository(host, journal.pool)
    except exceptions.PoolNotUsable as exc:
        # What it has may be on a file system that is not mounted.
        away = messages.text(exc)
    for name in journal.files:
        path = posixpath.join(journal.folder, name)
        key, reason = messages.CLEANUP_UNDECIDED, away
        try:
            if not away or host.storage.exists(path):
                host.storage.remove(path)
                continue
        except libvirt.libvirtError as exc:
            host.raise_if_lost(exc)
            key, reason = messages.CLEANUP_FAILED, errors.text(exc)
        except exceptions.HawkFishError as exc:
            key, reason = messages.CLEANUP_FAILED, messages.text(exc)
        context.add_message(key, path, reason.rstrip('.'))


def _is_ours(domain: Domain, journal: BackupJournal) -> bool:
    files = backup_jobs.files_of_job(domain) if domain.is_active else None
    begin = filenames.backup(journal.token)
    return any(begin in path for path in files or ())
