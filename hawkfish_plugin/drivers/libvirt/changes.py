# SPDX-License-Identifier: Apache-2.0
"""
What is done to the snapshots of a system: check it, do it, settle it.

``create``, ``revert`` and ``delete`` each hold an operation and its settling;
here is what surrounds all of them.
"""

import contextlib
import dataclasses
import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from hawkfish_plugin.drivers import contract, sharing
from hawkfish_plugin.drivers.libvirt import (
    backup_jobs,
    create,
    delete,
    firmware,
    leftovers,
    plan,
    revert,
    revert_plan,
    sizes,
    snapshots,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.safety import Safety
from hawkfish_plugin.drivers.libvirt.write_speed import WriteSpeed


class Changes(Safety):
    """See ``contract.ChangesSnapshots`` and ``sharing.LeavesFiles``."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        emulator: Mapping[str, Any],
        systems: Callable[[], Any],
    ) -> None:
        super().__init__(conf, emulator, systems)
        self._deletes = delete.Deletes(
            self._hypervisor, self._ledger, conf.tasks.deadline
        )
        self._write_speed = WriteSpeed()

    def check_create(
        self, uuid: str, request: contract.CreateRequest
    ) -> contract.Forecast:
        with self._hypervisor.domain(uuid, contract.CREATE) as domain:
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
        with self._hypervisor.domain(uuid, contract.REVERT) as domain:
            self._check_revertible(domain)
            self._find_firmware(domain, request.name)
            book, listed = self._ledger, contract.Freshness.LISTED
            planned = revert_plan.make(domain, request, self._conf, book)
            if not request.has_safety_snapshot:
                revert_plan.check_removed(domain, planned, book, listed)
        return planned.forecast(request)

    def check_delete(self, uuid: str, name: str, forced: bool = False) -> None:
        with self._hypervisor.domain(uuid, contract.DELETE) as domain:
            backup_jobs.check_free(domain)
            self._check_safe(domain)
            delete.check(domain, name, forced, self._ledger)

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
            self._check(uuid, self._check_revertible)
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
            with self._hypervisor.domain(uuid, contract.DELETE) as domain:
                backup_jobs.check_free(domain)
                self._check_safe(domain)
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
        self, uuid: str, name: str, journal: contract.Journal
    ) -> int | None:
        return create.made_by(self._hypervisor, uuid, name, journal)

    def settle_revert(
        self,
        uuid: str,
        request: contract.RevertRequest,
        context: contract.TaskContext,
    ) -> None:
        with self._changing(uuid):
            revert.settle(
                self._hypervisor,
                uuid,
                request,
                self._conf,
                context,
                self._ledger,
            )

    def settle_delete(
        self, uuid: str, name: str, context: contract.TaskContext
    ) -> None:
        with self._changing(uuid):
            self._deletes.settle(uuid, name, self._check_safe, context)

    def resume_delete(
        self, uuid: str, name: str, context: contract.TaskContext
    ) -> None:
        with self._changing(uuid):
            self._deletes.resume(uuid, name, self._check_safe, context)

    def _check(self, uuid: str, check: Callable[[Domain], None]) -> None:
        with self._hypervisor.domain(uuid, 'look-up') as domain:
            check(domain)

    def _find_firmware(self, domain: Domain, name: str) -> None:
        """Let the copies of the firmware's state be where they belong."""
        copies = snapshots.read(domain, name).copies
        if not copies:
            return
        files = xml.files(domain.definition())
        for snapshot in snapshots.read_all(domain):
            files += snapshot.paths | snapshot.overlays
        folders = {posixpath.dirname(path) for path in files}
        firmware.bring_home(domain.host.storage, copies, folders)

    @contextlib.contextmanager
    def _changing(self, uuid: str) -> Iterator[None]:
        """
        Remember nothing of the domain *uuid* from before the block's end.

        What is looked at in it before the first change is one decision.
        """
        try:
            with self._hypervisor.moments.within():
                yield
        finally:
            self._ledger.outdate()
            self._orders.forget(uuid)

    def sweep(self, noted: Collection[str]) -> Sequence[str]:
        with self._hypervisor.host('sweep') as host:
            conf = self._conf.snapshots
            others = (conf.overlay_dir, conf.memory_dir)
            folders = filter(None, (*others, self._conf.backup.export_dir))
            return leftovers.sweep(host, noted, {*folders})


if TYPE_CHECKING:
    _changes: type[contract.ChangesSnapshots] = Changes
    _leaves: type[sharing.LeavesFiles] = Changes
