# SPDX-License-Identifier: Apache-2.0
"""
The libvirt driver: the only place that imports libvirt.

Owns the translation between the driver contract and libvirt's domains and
snapshots.  ``plan`` decides what can be made; ``create``, ``revert`` and
``delete`` each hold an operation and its settling.
"""

import contextlib
import dataclasses
import logging
import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import libvirt
from oslo_config import cfg

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    connections,
    create,
    delete,
    domains,
    errors,
    filenames,
    firmware,
    ledger,
    leftovers,
    merging,
    parsed,
    plan,
    revert,
    revert_plan,
    sizes,
    snapshot_xml,
    snapshots,
    unsafe,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.write_speed import WriteSpeed
from hawkfish_plugin.emulator import internals

LOG = logging.getLogger(__name__)

DEFAULT_URI = 'qemu:///system'
_DRIVES = {'cdrom': 'Cd', 'floppy': 'Floppy'}


class LibvirtDriver:
    """See ``contract.Driver``; serves the domains of the emulator's URI."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        emulator: Mapping[str, Any],
        systems: Callable[[], Any],
    ) -> None:
        self.target = internals.libvirt_uri(emulator) or DEFAULT_URI
        self.abilities = contract.Abilities()
        self._conf = conf
        self._hypervisor = connections.Hypervisor(self.target)
        self._sizes = sizes.Sizes()
        self._ledger = ledger.Ledger()
        self._deletes = delete.Deletes(
            self._hypervisor, self._ledger, conf.tasks.deadline
        )
        self._orders = snapshots.Orders()
        self._write_speed = WriteSpeed()

    # Systems ---------------------------------------------------------------

    def resolve(self, identity: str) -> contract.System:
        with self._hypervisor.host('look-up') as host:
            domain = domains.find_any(host, identity)
            return contract.System(domain.uuid, domain.name)

    def systems(self) -> Sequence[contract.System]:
        with self._hypervisor.host('list') as host:
            return [
                contract.System(domain.uuid, domain.name)
                for domain in domains.all_of(
                    host, libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT
                )
            ]

    def power_states(self) -> Mapping[contract.System, str]:
        found = {}
        with self._hypervisor.host('list') as host:
            for domain in domains.all_of(host):
                # One may be undefined meanwhile.
                with errors.ignored(host.connection):
                    system = contract.System(domain.uuid, domain.name)
                    if not self.is_own(system.uuid):
                        found[system] = domain.power_state
        return found

    def connection_losses(self) -> int:
        return self._hypervisor.connection_losses()

    def changes_when_read(self, uuid: str) -> bool:
        with self._hypervisor.domain(uuid, 'look-up') as domain:
            definition = domain.definition(inactive=True)
        return not xml.has_emulator_defaults(definition)

    def is_own(self, uuid: str) -> bool:
        return filenames.is_merger(uuid)

    def violations(self, uuid: str) -> Sequence[exceptions.Unsafe]:
        with self._hypervisor.domain(uuid, 'look-up') as domain:
            listed = contract.Freshness.LISTED
            return unsafe.violations(domain, self._ledger, listed)

    def check_start(self, uuid: str) -> None:
        with self._hypervisor.domain(uuid, 'start') as domain:
            listed = contract.Freshness.LISTED
            unsafe.check_start(domain, self._ledger, listed)

    def plan_repair(self, uuid: str) -> Sequence[contract.Repair]:
        with self._hypervisor.domain(uuid, 'repair') as domain:
            return unsafe.plan(domain, self._ledger)

    def repair(self, uuid: str) -> None:
        with self._hypervisor.domain(uuid, 'repair') as domain:
            unsafe.repair(domain, self._ledger)

    def removable_media(self, uuid: str) -> Mapping[str, str]:
        with self._hypervisor.domain(uuid, 'look-up') as domain:
            definition = domain.definition(inactive=True)
        return {
            _DRIVES[disk.device]: disk.path
            for disk in xml.disks(definition)
            if disk.device in _DRIVES and disk.path
        }

    # Snapshots -------------------------------------------------------------

    def snapshots(self, uuid: str) -> Sequence[contract.Snapshot]:
        with self._hypervisor.domain(uuid, 'list') as domain:
            return snapshots.tree(domain)

    def names(self, uuid: str) -> Sequence[str]:
        with self._hypervisor.domain(uuid, 'list') as domain:
            return self._orders.names(domain)

    def exists(self, uuid: str, name: str) -> bool:
        with self._hypervisor.domain(uuid, 'list') as domain:
            return snapshots.exists(domain, name)

    def inventory(
        self,
        uuid: str,
        freshness: contract.Freshness = contract.Freshness.CACHED,
    ) -> contract.Inventory:
        with self._hypervisor.domain(uuid, 'list') as domain:
            current = snapshots.current(domain)
            seen = snapshots.read_all(domain)
            written = snapshots.written(domain, seen)
            records = snapshots.records(seen, current, written)
            disks = {
                s.record.name: sizes.disk_files(domain.host, s) for s in seen
            }
            return contract.Inventory(
                records,
                self._measure(domain, seen, records, disks),
                self._find_dependents(domain, seen, disks, freshness),
            )

    def _measure(
        self,
        domain: Domain,
        seen: Sequence[parsed.ParsedSnapshot],
        records: Sequence[contract.Snapshot],
        disks: Mapping[str, Sequence[str]],
    ) -> Mapping[str, contract.Size]:
        paths = [path for s in seen for path in s.own_files]
        paths += [path for found in disks.values() for path in found]
        try:
            takes = self._sizes.of(domain.host.storage, domain.uuid, paths)
        except exceptions.NotAnswering as exc:
            LOG.warning('Not measured: %s', messages.text(exc))
            return {}
        except libvirt.libvirtError as exc:
            # A pool that is busy, say; the snapshots can be listed.
            domain.host.raise_if_lost(exc)
            LOG.warning('Not measured: %s', errors.text(exc))
            return {}
        return sizes.measure(seen, records, disks, takes)

    def _find_dependents(
        self,
        domain: Domain,
        seen: Sequence[parsed.ParsedSnapshot],
        disks: Mapping[str, Sequence[str]],
        freshness: contract.Freshness,
    ) -> Mapping[str, Sequence[contract.Dependent]]:
        try:
            return self._ledger.of(domain, seen, disks, freshness)
        except exceptions.NotAnswering as exc:
            if freshness != contract.Freshness.CACHED:
                raise
            LOG.warning('Dependents not found: %s', messages.text(exc))
            return {}
        except libvirt.libvirtError as exc:
            # Before a delete it has to be known.
            if freshness != contract.Freshness.CACHED:
                raise
            domain.host.raise_if_lost(exc)
            LOG.warning('Dependents not found: %s', errors.text(exc))
            return {}

    def referrers(
        self, snapshots: Sequence[contract.Snapshot]
    ) -> Mapping[str, Sequence[str]]:
        return merging.referrers(snapshots)

    def capabilities(self, uuid: str) -> contract.Capabilities:
        with self._hypervisor.domain(uuid, 'look-up') as domain:
            found = plan.capabilities(domain, self._conf)
            cached = contract.Freshness.CACHED
            unsafe_for = unsafe.violations(domain, self._ledger, cached)
        return dataclasses.replace(
            found, findings=(*unsafe_for, *found.findings)
        )

    def describe(self, uuid: str, name: str, description: str) -> None:
        with self._hypervisor.domain(uuid, 'change') as domain:
            root = snapshots.describe(domain, name)
            snapshot_xml.set_description(root, description)
            snapshots.redefine(domain, root)

    def renamed(self, uuid: str, old: str, new: str) -> None:
        with self._hypervisor.domain(uuid, 'change') as domain:
            root = snapshots.describe(domain, new)
            now = parsed.parse(root)
            snapshot_xml.set_name(root, old)
            former = parsed.parse(root)
            firmware.keep(domain.host.storage, now.copies, former.copies)

    def _find_firmware(self, domain: Domain, name: str) -> None:
        """Let the copies of the firmware's state be where they belong."""
        copies = parsed.parse(snapshots.describe(domain, name)).copies
        if not copies:
            return
        files = xml.files(domain.definition())
        for snapshot in snapshots.read_all(domain):
            files += snapshot.paths | snapshot.overlays
        folders = {posixpath.dirname(path) for path in files}
        firmware.bring_home(domain.host.storage, copies, folders)

    # Operations ------------------------------------------------------------

    def check_create(
        self, uuid: str, request: contract.CreateRequest
    ) -> contract.Forecast:
        with self._hypervisor.domain(uuid, 'create') as domain:
            self._check_safe(domain)
            planned = plan.make(domain, request, self._conf)
            return dataclasses.replace(
                sizes.forecast(domain, planned),
                pause=self._forecast_pause(planned),
            )

    def _forecast_pause(self, planned: plan.Plan) -> float | None:
        if not planned.pauses:
            return None
        size = planned.own_bytes if planned.memory else 0
        return self._write_speed.pause(size)

    def check_revert(
        self, uuid: str, request: contract.RevertRequest
    ) -> contract.RevertForecast:
        with self._hypervisor.domain(uuid, 'revert') as domain:
            self._check_revert(domain)
            self._find_firmware(domain, request.name)
            book, listed = self._ledger, contract.Freshness.LISTED
            planned = revert_plan.make(domain, request, self._conf, book)
            if not request.has_safety_snapshot:
                revert_plan.check_removed(domain, planned, book, listed)
        return planned.forecast(request)

    def check_delete(self, uuid: str, name: str, forced: bool = False) -> None:
        with self._hypervisor.domain(uuid, 'delete') as domain:
            self._check_safe(domain)
            delete.check(domain, name, forced, self._ledger)

    def _check_safe(self, domain: Domain) -> None:
        """
        Raise what makes *domain* unsafe.

        What stands on its disk is kept by a create, and looked for by a delete
        before it merges.
        """
        listed = contract.Freshness.LISTED
        exceptions.check(
            [
                violation
                for violation in unsafe.violations(
                    domain, self._ledger, listed
                )
                if not isinstance(violation, exceptions.DiskIsBackingFile)
            ]
        )

    def _check_revert(self, domain: Domain) -> None:
        """
        Raise what a revert does not mend.

        It puts the system on new overlays, and so mends a definition of a
        system that is off.
        """
        listed = contract.Freshness.LISTED
        found = unsafe.violations(domain, self._ledger, listed)
        exceptions.check(
            [
                violation
                for violation in found
                if domain.is_active
                or isinstance(violation, exceptions.DiskOfTwoSystems)
            ]
        )

    def create(
        self,
        uuid: str,
        request: contract.CreateRequest,
        context: contract.TaskContext,
    ) -> contract.Created:
        with self._changing(uuid):
            self._check(uuid, self._check_safe)
            made = create.run(
                self._hypervisor, uuid, request, self._conf, context
            )
        if made.memory_size and made.capture and made.capture.pause:
            self._write_speed.note(made.memory_size, made.capture.pause)
        return made

    def revert(
        self,
        uuid: str,
        request: contract.RevertRequest,
        context: contract.TaskContext,
    ) -> None:
        with self._changing(uuid):
            self._check(uuid, self._check_revert)
            revert.run(
                self._hypervisor,
                uuid,
                request,
                self._conf,
                context,
                self._ledger,
            )

    def delete(
        self, uuid: str, name: str, context: contract.TaskContext
    ) -> None:
        with self._changing(uuid):
            self._check(uuid, self._check_safe)
            with self._hypervisor.domain(uuid, 'delete') as domain:
                self._find_firmware(domain, name)
            self._deletes.run(uuid, name, context)

    def settle_create(
        self,
        uuid: str,
        request: contract.CreateRequest,
        context: contract.TaskContext,
    ) -> contract.Created:
        with self._changing(uuid):
            return create.settle(
                self._hypervisor, uuid, request, self._conf, context
            )

    def made_by(
        self, uuid: str, name: str, journal: Mapping[str, Any]
    ) -> int | None:
        return create.made_by(self._hypervisor, uuid, name, journal)

    def settle_revert(
        self,
        uuid: str,
        request: contract.RevertRequest,
        context: contract.TaskContext,
    ) -> None:
        with self._changing(uuid):
            revert.settle(self._hypervisor, uuid, request, self._conf, context)

    def settle_delete(
        self, uuid: str, name: str, context: contract.TaskContext
    ) -> None:
        with self._changing(uuid):
            self._deletes.settle(uuid, name, self._check_safe, context)

    def _check(self, uuid: str, check: Callable[[Domain], None]) -> None:
        with self._hypervisor.domain(uuid, 'look-up') as domain:
            check(domain)

    @contextlib.contextmanager
    def _changing(self, uuid: str) -> Iterator[None]:
        """
        Remember nothing of the domain *uuid* from before the block's end.
        """
        try:
            yield
        finally:
            self._sizes.forget(uuid)
            self._orders.forget(uuid)

    def sweep(self, noted: Collection[str]) -> Sequence[str]:
        with self._hypervisor.host('sweep') as host:
            conf = self._conf.snapshots
            folders = filter(None, (conf.overlay_dir, conf.memory_dir))
            return leftovers.sweep(host, noted, {*folders})


if TYPE_CHECKING:
    # What the layers above may take it for.
    _driver: type[contract.Driver] = LibvirtDriver
    _shares: type[contract.SharesDefinitions] = LibvirtDriver
    _finds: type[contract.FindsUnsafe] = LibvirtDriver
    _leaves: type[contract.LeavesFiles] = LibvirtDriver
