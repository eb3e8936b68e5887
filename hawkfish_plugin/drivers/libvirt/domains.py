# SPDX-License-Identifier: Apache-2.0
"""
A domain: the handle that every operation has of its system.

Owns the look-up of domains and what is asked of one in many places.  The
words are libvirt's, and a method is one call; what a call means for a
snapshot is decided by whoever makes it.
"""

import contextlib
import uuid
from collections.abc import (
    Callable,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, TypeVar, cast

import libvirt

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import xml
from hawkfish_plugin.drivers.libvirt.hosts import Host

T = TypeVar('T')


class Domain:
    """A domain of *host*; *handle* is what libvirt-python has of it."""

    def __init__(self, host: Host, handle: libvirt.virDomain) -> None:
        self.host = host
        self.handle = handle

    # What it is ------------------------------------------------------------

    @property
    def uuid(self) -> str:
        return self.handle.UUIDString()

    @property
    def name(self) -> str:
        return self.handle.name()

    @property
    def id(self) -> int:
        """Its number while it runs, else -1; as of the look-up."""
        return self.handle.ID()

    def again(self) -> 'Domain':
        """The same, looked up anew; raises SystemNotFound."""
        return find(self.host, self.uuid)

    def text(self, inactive: bool = False, secure: bool = False) -> str:
        """
        The XML of the definition that is in use.

        *inactive*: of the one for the next start; *secure*: with passwords,
        so that it can be defined again.
        """
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0
        flags |= libvirt.VIR_DOMAIN_XML_SECURE if secure else 0
        return self.once('definition', lambda: self._text(flags), flags)

    def _text(self, flags: int) -> str:
        if self.id < 0:
            return self.handle.XMLDesc(flags)
        return self.asked(lambda: self.handle.XMLDesc(flags))

    def once(
        self, what: str, ask: Callable[[], T], more: Hashable = None
    ) -> T:
        """What *ask* says of *what*; see ``Moments.once``."""
        return self.host.moments.once((self.uuid, what, more), ask)

    def definition(
        self, inactive: bool = False, secure: bool = False
    ) -> xml.Element:
        """The same, parsed."""
        return xml.parse(self.text(inactive, secure))

    def noted_files(self) -> set[str]:
        """
        The files that its disks stand on, as far as libvirt has noted them.

        Only for a domain that has not answered: libvirt does not ask the QEMU
        of one that something waits for already.
        """
        found = self.host.connection.domainListGetStats(
            [self.handle],
            libvirt.VIR_DOMAIN_STATS_BLOCK,
            libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING
            | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT,
        )
        return {
            value
            for _, statistics in found
            for name, value in statistics.items()
            if name.startswith('block.') and name.endswith('.path')
        }

    def next_start(self) -> xml.Element:
        """The definition that libvirt would start it with."""
        # Off with its memory saved, it has the disks that it had then.
        if not self.is_active and self.has_managed_save:
            return xml.parse(self.handle.managedSaveGetXMLDesc())
        return self.definition(inactive=True)

    @property
    def is_persistent(self) -> bool:
        return self.once(
            'persistent', lambda: bool(self.handle.isPersistent())
        )

    # What it does ----------------------------------------------------------

    @property
    def is_active(self) -> bool:
        return bool(self.handle.isActive())

    @property
    def was_active(self) -> bool:
        """The same, as of this decision; not for who changes it then."""
        return self.once('active', lambda: self.is_active)

    # libvirt-python's annotations are wrong for all that is no plain value.
    def state(self) -> tuple[int, int]:
        """The virDomainState, and the reason for it."""
        state, reason = cast(list[int], self.handle.state())
        return state, reason

    @property
    def is_paused(self) -> bool:
        return self.state()[0] == libvirt.VIR_DOMAIN_PAUSED

    @property
    def is_suspended(self) -> bool:
        """Whether the guest has gone to sleep (ACPI S3)."""
        return self.state()[0] == libvirt.VIR_DOMAIN_PMSUSPENDED

    @property
    def power_state(self) -> str:
        """One of contract.ON, OFF and PAUSED."""
        if not self.is_active:
            return contract.OFF
        return contract.PAUSED if self.is_paused else contract.ON

    @property
    def has_managed_save(self) -> bool:
        return bool(self.handle.hasManagedSaveImage())

    def check_no_managed_save(self) -> None:
        """Raise ManagedSavePresent; its memory would not fit other disks."""
        if self.has_managed_save:
            raise exceptions.ManagedSavePresent(self.name)

    def max_memory(self) -> int:
        """
        What the guest may have at the most, in KiB.

        That is without a balloon, and with the memory that was attached.
        """
        return int(self.handle.info()[1])

    def asked(self, call: Callable[[], T]) -> T:
        """What *call* says, for which its QEMU has to answer."""
        return self.host.ask(self.name, call)

    def changed(
        self, call: Callable[[], T], more: float = 0.0, always: bool = False
    ) -> T:
        """What *call* returns, which changes it; see ``Host.change``."""
        return self.host.change(self.name, call, more, always)

    def interrupted(self, call: Callable[[], T]) -> T:
        """
        What *call* returns, which ends what a change has begun.

        It does not wait for the turn of that, and is done though the task has
        ended.
        """
        try:
            return self.asked(call)
        finally:
            self.host.moments.changing()

    # Jobs of libvirt -------------------------------------------------------

    @property
    def has_job(self) -> bool:
        """Whether a job of the domain goes on; raises where it is off."""
        kind = cast(list[int], self.asked(self.handle.jobInfo))[0]
        return kind != libvirt.VIR_DOMAIN_JOB_NONE

    def job_statistics(self) -> Mapping[str, Any]:
        return cast(Mapping[str, Any], self.asked(self.handle.jobStats))

    def abort_job(self) -> None:
        self.interrupted(self.handle.abortJob)

    def block_job(self, target: str) -> Mapping[str, int]:
        """The block job of a disk; empty where there is none."""
        found = self.asked(lambda: self.handle.blockJobInfo(target))
        return cast(Mapping[str, int], found) or {}

    def may_pivot(self, target: str, job: Mapping[str, int]) -> bool:
        """Whether *job*, the block job of a disk, waits for its pivot."""
        # Before it is ready it can have nothing left to do, too.
        return job['cur'] == job['end'] and xml.is_ready(
            self.definition(), target
        )

    def block_commit(
        self,
        target: str,
        base: str | None = None,
        top: str | None = None,
        active: bool = True,
    ) -> None:
        """
        Begin to merge *top* of the chain of a disk into *base*.

        Without *base* the file below; without *top* what the guest writes to.
        Where that is *active*, libvirt refuses a *top* that it does not write
        to any more.
        """
        flags = 0
        if base is None:
            flags |= libvirt.VIR_DOMAIN_BLOCK_COMMIT_SHALLOW
        if active:
            flags |= libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE
        self.changed(
            lambda: self.handle.blockCommit(
                target, cast(str, base), cast(str, top), 0, flags
            )
        )

    def block_job_abort(self, target: str) -> None:
        """
        Stop a block job where it is; the disk stays as it was.

        Also the job of a task that has ended.
        """
        self.interrupted(lambda: self.handle.blockJobAbort(target))

    def block_job_pivot(self, target: str) -> None:
        """End a block job that is ready: let the disk be the base again."""
        pivot = libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT
        self.changed(lambda: self.handle.blockJobAbort(target, pivot))

    # What is done to it ----------------------------------------------------

    def start(self, power_state: str) -> None:
        """Start it; it stays paused where *power_state* is contract.PAUSED."""
        paused = power_state == contract.PAUSED
        flags = libvirt.VIR_DOMAIN_START_PAUSED if paused else 0
        self.changed(lambda: self.handle.createWithFlags(flags))

    def set_time(self, seconds: int) -> None:
        """Set the clock of the guest; needs its agent."""
        time = cast(int, {'seconds': seconds, 'nseconds': 0})
        self.handle.setTime(time)

    @property
    def is_booted(self) -> bool:
        """Whether it runs since a start, not since its memory was loaded."""
        booted = libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_BOOTED
        return self.state() == booted

    def suspend(self) -> None:
        """Stop its CPUs; the guest does not notice."""
        self.changed(self.handle.suspend)

    def resume(self, always: bool = False) -> None:
        """*always*: though the task that has suspended it has ended."""
        self.changed(self.handle.resume, always=always)

    def destroy(self) -> None:
        self.changed(self.handle.destroy)


def find(host: Host, uuid: str) -> Domain:
    """The domain *uuid*; raises SystemNotFound."""
    try:
        return Domain(host, host.connection.lookupByUUIDString(uuid))
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        raise exceptions.SystemNotFound(uuid) from exc


def those_of(host: Host, uuids: Iterable[str]) -> Iterator[Domain]:
    """The domains *uuids*, but for those that were undefined meanwhile."""
    for each in uuids:
        with contextlib.suppress(exceptions.SystemNotFound):
            yield find(host, each)


def find_any(host: Host, identity: str) -> Domain:
    """The domain with this UUID, else with this name."""
    with contextlib.suppress(ValueError, exceptions.SystemNotFound):
        return find(host, str(uuid.UUID(identity)))
    try:
        return Domain(host, host.connection.lookupByName(identity))
    except ValueError as exc:
        # The binding refuses a name with a zero in it.
        raise exceptions.SystemNotFound(identity) from exc
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        raise exceptions.SystemNotFound(identity) from exc


def all_of(host: Host, flags: int = 0) -> Sequence[Domain]:
    """Every domain of *host*; see virConnectListAllDomains for *flags*."""
    # libvirt waits for each of them that somebody starts at this moment.
    found = host.moments.once(
        ('all systems', host.connection, flags),
        lambda: host.ask(
            'all systems', lambda: host.connection.listAllDomains(flags)
        ),
    )
    return [Domain(host, handle) for handle in found]


def restore(host: Host, image: str, definition: str) -> None:
    """Start *definition* with the memory in *image*; it stays paused."""
    paused = libvirt.VIR_DOMAIN_SAVE_PAUSED
    host.change(
        _named(definition),
        lambda: host.connection.restoreFlags(image, definition, paused),
    )


def define(host: Host, text: str) -> Domain:
    """Define the domain that *text* describes, in the place of what it was."""
    handle = host.change(_named(text), lambda: host.connection.defineXML(text))
    return Domain(host, handle)


def _named(definition: str) -> str:
    """The name of the domain that *definition* describes."""
    return xml.parse(definition).findtext('name', '')
