# SPDX-License-Identifier: Apache-2.0
"""A driver and one system of it, as the contract's suite wants them."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager

from hawkfish_plugin.drivers import contract
from tests.contract.context import Context


@dataclasses.dataclass(frozen=True)
class Abilities:
    """
    What a hypervisor can do with snapshots, whatever the system.

    The suite does not ask for what it cannot do.  *memory*: a snapshot can
    hold the memory of a running system.  *tree*: a create after a revert
    begins a branch.  *merge*: a snapshot that others
    grow from can be deleted, and its data goes into one of them.  *quiesce*:
    the guest can be asked to flush its file systems.  *space*: a forecast
    says how much space is needed.
    """

    memory: bool = True
    tree: bool = True
    merge: bool = True
    quiesce: bool = True
    space: bool = True


@dataclasses.dataclass
class Subject:
    """
    A driver, and a system of it that is off and has no snapshots.

    *switch_on* lets the system run; while *obstructed* no snapshot of it can
    be made.  *outdate* lets it have a snapshot, and the definition of before.
    *undefine* removes another system, by its UUID; *has_bundles* says that
    snapshots can be exported, and backups be made.
    """

    driver: contract.Driver
    system: contract.System
    switch_on: Callable[[], None]
    obstructed: Callable[[], AbstractContextManager[object]]
    outdate: Callable[[], None]
    undefine: Callable[[str], None]
    abilities: Abilities = Abilities()
    has_bundles: bool = True

    @property
    def uuid(self) -> str:
        return self.system.uuid

    def tree(self) -> dict[str, contract.Snapshot]:
        return {s.name: s for s in self.driver.snapshots(self.uuid)}

    @property
    def current(self) -> str | None:
        """The name of the snapshot that the system stands on."""
        found = [s.name for s in self.tree().values() if s.current]
        assert len(found) < 2
        return found[0] if found else None

    def create(
        self,
        name: str,
        description: str = '',
        memory: bool | None = None,
        context: Context | None = None,
    ) -> contract.Created:
        request = contract.CreateRequest(name, description, memory)
        return self.driver.create(self.uuid, request, context or Context())

    def revert(self, name: str, context: Context | None = None) -> None:
        request = self.back_to(name)
        self.driver.revert(self.uuid, request, context or Context())

    def back_to(self, name: str) -> contract.RevertRequest:
        return contract.RevertRequest(name, created_here=True)

    def delete(self, name: str, context: Context | None = None) -> None:
        self.driver.delete(self.uuid, name, context or Context())

    def fork(self) -> None:
        """Make ``root``, and ``left`` and ``right`` that grow from it."""
        self.create('root')
        self.create('left')
        self.revert('root')
        self.create('right')
