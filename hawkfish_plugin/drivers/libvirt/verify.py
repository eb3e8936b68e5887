# SPDX-License-Identifier: Apache-2.0
"""
A snapshot, or a backup, is proved by a clone that is removed afterwards.

The clone writes to overlays above the files of either, and loads a copy of the
memory image of a snapshot, whose head names the clone.  It is a transient
domain with a UUID that only clones have, and all of its files are in one
folder: both are found by the token that they share, whoever has died.  It is
never persistent, and one that boots ends with the connection of its maker.
"""

import contextlib
import dataclasses
import posixpath
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract, verifying
from hawkfish_plugin.drivers.libvirt import (
    clone_xml,
    connections,
    domains,
    errors,
    filenames,
    firmware,
    image_heads,
    probes,
    verify_plan,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.staging import Staging
from hawkfish_plugin.drivers.libvirt.verify_plan import Plan
from hawkfish_plugin.drivers.verifying import Checked, Verified, VerifyRequest
from hawkfish_plugin.records import Record

_NAME = contract.VERIFY
_MEMORY = 'memory.image'
# How often the space that is left is looked at.
_SPACE_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class VerifyJournal(Record):
    """
    What a verification notes.

    The *folder* of the clone's files, the definition of a *shell* to undefine
    where it has a TPM, and at the end what was *found*, as JSON has it.
    """

    folder: str = ''
    shell: str = ''
    found: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def run(
    hypervisor: connections.Hypervisor,
    uuid: str,
    request: VerifyRequest,
    conf: cfg.ConfigOpts,
    context: contract.TaskContext,
) -> Verified:
    """See ``verifying.Verifies.verify``."""
    with hypervisor.domain(uuid, _NAME, context.check_active) as domain:
        planned = verify_plan.make(domain, request, conf)
        return prove(Proof(domain.host, request, context, planned))


def prove(proof: 'Proof') -> Verified:
    """Bring up what is planned, look at it, and remove it."""
    planned, request = proof.planned, proof.request
    if planned.damage is not None:
        words = verify_plan.words(planned.damage)
        return Verified(verifying.without_clone(request, words))
    journal = VerifyJournal(planned.folder, _shell(planned))
    proof.context.step('prepare', journal)
    with _removing(proof.host, journal, proof.context):
        found = _prove(proof)
        journal = dataclasses.replace(journal, found=found.dump())
        proof.context.step('finish', journal)
    return found


def settle(
    hypervisor: connections.Hypervisor,
    context: contract.TaskContext,
    operation: str = _NAME,
) -> Verified:
    """See ``verifying.Verifies.settle_verify``."""
    journal = context.recall(VerifyJournal)
    with hypervisor.host(operation, context.check_active) as host:
        _remove(host, journal)
    if context.last_step == 'finish':
        return Verified.load(journal.found)
    raise exceptions.OperationInterrupted(operation, 'nothing of it was kept')


# The clone -----------------------------------------------------------------


class _NoStart(Exception):
    """The clone has not come up, and says why."""


@dataclasses.dataclass(frozen=True)
class Proof:
    """One verification on *host*, by *operation*: what is *planned* for it."""

    host: Host
    request: VerifyRequest
    context: contract.TaskContext
    planned: Plan
    operation: str = _NAME

    @property
    def staging(self) -> Staging:
        return Staging(self.host, self.planned.folder, self.operation)

    def check(self) -> None:
        if self.context.cancelled:
            raise exceptions.OperationCancelled(self.operation)


def _prove(proof: Proof) -> Verified:
    planned, request = proof.planned, proof.request
    text = _make_files(proof)
    proof.check()
    proof.context.step('start')
    try:
        clone = _start(proof, text)
    except _NoStart as exc:
        checks = verifying.without_clone(request, str(exc))
        return Verified(checks, bool(planned.image), planned.left_out)
    proof.context.step('check', durable=False)
    checks = [
        Checked(verifying.FILES, verifying.PASSED, 0.0, 'QEMU opened them'),
        *probes.watch(clone, request, _Watch(proof).look),
    ]
    picture = probes.screenshot(clone) if request.screenshot else None
    return Verified(checks, bool(planned.image), planned.left_out, picture)


def _make_files(proof: Proof) -> xml.Element:
    """Make all files of the clone; its definition."""
    planned, staging = proof.planned, proof.staging
    staging.make(passable=True)
    for target, (path, kind) in planned.disks.items():
        proof.check()
        staging.make_overlay(f'{target}.qcow2', path, kind)
    for kind in (clone_xml.NVRAM, clone_xml.VARSTORE):
        if kind in planned.firmware:
            staging.write(kind, planned.firmware[kind])
    definition = clone_xml.build(planned.definition, _clone(planned))
    if planned.image and planned.head:
        proof.check()
        staging.clone(_MEMORY, planned.image, 'raw', 'raw')
        staging.overwrite(_MEMORY, _head(proof, planned.head, definition))
    return definition


def _head(
    proof: Proof, head: image_heads.Head, definition: xml.Element
) -> bytes:
    try:
        return head.replaced(definition)
    except image_heads.Damaged as exc:
        raise exceptions.VerifyNotPossible(proof.request.name, exc) from exc


def _clone(planned: Plan) -> clone_xml.Clone:
    def own(name: str) -> str:
        return posixpath.join(planned.folder, name)

    return clone_xml.Clone(
        filenames.clone_name(planned.token),
        filenames.clone_uuid(planned.token),
        {target: own(f'{target}.qcow2') for target in planned.disks},
        planned.ejected,
        # libvirt makes variables that are not there of their template.
        {kind: own(kind) for kind in (clone_xml.NVRAM, clone_xml.VARSTORE)},
    )


def _start(proof: Proof, definition: xml.Element) -> Domain:
    """The clone, paused and isolated; raises _NoStart."""
    host, planned = proof.host, proof.planned
    try:
        if planned.image:
            image = posixpath.join(planned.folder, _MEMORY)
            domains.restore(host, image, xml.render(definition))
        else:
            _boot(proof, definition)
    except libvirt.libvirtError as exc:
        host.raise_if_lost(exc)
        if exc.get_error_code() == libvirt.VIR_ERR_OPERATION_TIMEOUT:
            raise
        raise _NoStart(f'it does not start: {errors.text(exc)}') from exc
    try:
        clone = domains.find(host, filenames.clone_uuid(planned.token))
        definition = clone.definition()
    except (exceptions.SystemNotFound, libvirt.libvirtError) as exc:
        if isinstance(exc, libvirt.libvirtError):
            host.raise_if_lost(exc)
        raise _NoStart('its QEMU has ended') from exc
    if not clone_xml.is_isolated(definition):
        raise exceptions.OperationFailed(
            proof.operation, 'libvirt does not isolate the clone'
        )
    return clone


def _boot(proof: Proof, definition: xml.Element) -> None:
    planned, host = proof.planned, proof.host
    state = planned.firmware.get('tpm')
    if state:
        # Its folder is made by a start.
        first = xml.parse(xml.render(definition))
        clone_xml.keep_tpm(first)
        _create(proof, first).destroy()
        target = firmware.files(host.storage, definition, False).get('tpm')
        if target:
            host.storage.write(target, state)
    _create(proof, definition)


def _create(proof: Proof, definition: xml.Element) -> Domain:
    host = proof.host
    # Should this process die, libvirt ends it.
    flags = (
        libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
    )
    text = xml.render(definition)
    name = filenames.clone_name(proof.planned.token)
    handle = host.change(name, lambda: host.connection.createXML(text, flags))
    return Domain(host, handle)


class _Watch:
    """What is minded while the clone runs."""

    def __init__(self, proof: Proof) -> None:
        self._proof = proof
        self._looked = 0.0
        checks = proof.request.checks
        self._most = max(map(proof.request.deadline, checks), default=1)

    def look(self, seconds: float) -> None:
        """Raises OperationCancelled or InsufficientSpace."""
        proof = self._proof
        proof.check()
        if time.monotonic() - self._looked < _SPACE_SECONDS:
            return
        self._looked = time.monotonic()
        proof.context.progress(min(99, int(100 * seconds / self._most)))
        # The original would be stopped by a full file system, too.
        free = proof.staging.available()
        if free < verify_plan.SPARE_BYTES // 2:
            raise exceptions.InsufficientSpace(
                proof.planned.folder, verify_plan.SPARE_BYTES, free
            )


# Its end -------------------------------------------------------------------


@contextlib.contextmanager
def _removing(
    host: Host, journal: VerifyJournal, context: contract.TaskContext
) -> Iterator[None]:
    """Remove the clone at the end of the block; settle can do it later."""
    try:
        yield
    except BaseException:
        # Also where the task was abandoned: it is ours alone.
        if host.is_alive:
            _remove_or_tell(host, journal, context)
        raise
    # Without libvirtd it fails, and the task is settled.
    _remove_or_tell(host, journal, context)


def _remove_or_tell(
    host: Host, journal: VerifyJournal, context: contract.TaskContext
) -> None:
    try:
        _remove(host, journal)
    except libvirt.libvirtError as exc:
        host.raise_if_lost(exc)
        context.add_message(
            messages.CLONE_NOT_REMOVED,
            journal.folder,
            errors.text(exc).rstrip('.'),
        )


def remove(host: Host, journal: Mapping[str, Any]) -> None:
    """See ``verifying.Verifies.remove_clone``."""
    _remove(host, VerifyJournal.load(journal))


def _remove(host: Host, journal: VerifyJournal) -> None:
    if not journal.folder:
        return
    token = filenames.token_of_folder(journal.folder)
    _end(host, filenames.clone_uuid(token))
    if journal.shell:
        # A first start may have left the state of its TPM.
        with errors.ignored(host.connection):
            shell = host.connection.defineXML(journal.shell)
            _undefine(Domain(host, shell))
    Staging(host, journal.folder, _NAME).remove()
    # libvirt may have been about to start it for who has died.
    _end(host, filenames.clone_uuid(token))


def _end(host: Host, identity: str) -> None:
    with contextlib.suppress(exceptions.SystemNotFound):
        clone = domains.find(host, identity)
        _unless_gone(lambda: clone.asked(clone.handle.destroy))
        _undefine(clone)


def _undefine(clone: Domain) -> None:
    flags = libvirt.VIR_DOMAIN_UNDEFINE_TPM
    flags |= libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    # A transient one has gone with its QEMU.
    _unless_gone(
        lambda: clone.asked(lambda: clone.handle.undefineFlags(flags))
    )


def _unless_gone(call: Callable[[], object]) -> None:
    """Make *call*, and mind not that the clone is off, or gone."""
    gone = libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN
    try:
        call()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() not in gone:
            raise


def _shell(planned: Plan) -> str:
    if planned.definition.find('devices/tpm') is None:
        return ''
    return xml.render(
        clone_xml.shell(
            planned.definition,
            filenames.clone_uuid(planned.token),
            filenames.clone_name(planned.token),
        )
    )
