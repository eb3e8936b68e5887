# SPDX-License-Identifier: Apache-2.0
"""
Systems that are captured, and reverted, together.

The driver is asked as by the sub-tasks of one task, each in a thread.
"""

import concurrent.futures
import dataclasses

import libvirt_qemu

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.tasks.rendezvous import Rendezvous
from tests.contract.context import Context
from tests.waiting import patience, wait_for

PATIENCE = 120.0
# Of an idle machine; see tests.waiting.
_SKEW_SECONDS = 0.010


@dataclasses.dataclass
class Member(Context):
    """
    The context of a sub-task that meets others.

    *then* is called after each meeting, with its point.
    """

    number: int = 0
    rendezvous: Rendezvous | None = None
    then: object = None

    def meet(self, point, seconds=None):
        super().meet(point)
        self.rendezvous.meet(
            self.number, point, seconds or PATIENCE, lambda: None
        )
        if self.then:
            self.then(point)


class Lab:
    """*systems* behind *driver*."""

    def __init__(self, driver, systems):
        self.driver, self.systems = driver, systems
        self.then = {}

    def _together(self, call):
        """What *call* returns, or raises, for each system."""
        place = Rendezvous(dict(enumerate(s.name for s in self.systems)))

        def work(number):
            context = Member(
                number=number,
                rendezvous=place,
                then=self.then.get(number),
            )
            try:
                return call(self.systems[number].uuid, context)
            except exceptions.HawkFishError as exc:
                return exc
            finally:
                place.leave(number)

        with concurrent.futures.ThreadPoolExecutor(len(self.systems)) as pool:
            return list(pool.map(work, range(len(self.systems))))

    def create(self, name, consistency=contract.CONSISTENT, **fields):
        request = contract.CreateRequest(
            name, consistency=consistency, **fields
        )
        return self._together(
            lambda uuid, context: self.driver.create(uuid, request, context)
        )

    def revert(self, name, **fields):
        request = contract.RevertRequest(name, created_here=True, **fields)
        return self._together(
            lambda uuid, context: self.driver.revert(uuid, request, context)
        )

    def delete(self, name):
        return self._together(
            lambda uuid, context: self.driver.delete(uuid, name, context)
        )

    def states(self):
        return [system.domain.state()[0] for system in self.systems]

    def snapshots(self):
        return [system.domain.snapshotListNames() for system in self.systems]

    def orphans(self):
        """The files that no system of it names."""
        named, found = set(), set()
        for system in self.systems:
            orphans = {*system.orphans()}
            named |= {*system.leftovers()} - orphans
            found |= orphans
        return sorted(found - named)


class Events:
    """When QEMU has stopped and resumed each system, as it tells."""

    def __init__(self, host, systems):
        self.seen = {}
        # One has the events of one domain.
        self._connections = [host.connect() for _ in systems]
        for connection, system in zip(self._connections, systems, strict=True):
            libvirt_qemu.qemuMonitorEventRegister(
                connection,
                connection.lookupByName(system.name),
                None,
                self._note,
                system.name,
            )

    def _note(self, _connection, domain, event, whole, micro, _details, name):
        self.seen.setdefault(event, {})[name] = whole + micro / 1e6

    def spread(self, event, count):
        """The seconds between the first and the last *event* of all."""
        times = wait_for(
            lambda: (
                len(self.seen.get(event, ())) == count
                and [*self.seen[event].values()]
            )
        )
        return max(times) - min(times)


def spread(captures):
    moments = [capture.monotonic for capture in captures]
    return max(moments) - min(moments)


def is_near(skew):
    return skew <= patience(_SKEW_SECONDS)
