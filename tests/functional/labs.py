# SPDX-License-Identifier: Apache-2.0
"""
Systems that are captured, and reverted, together.

By the driver, as the sub-tasks of one task ask it, each in a thread; or over
HTTP.
"""

import concurrent.futures
import dataclasses

import libvirt_qemu
import requests

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.tasks.rendezvous import Rendezvous
from tests.contract.context import Context
from tests.waiting import patience, wait_for

PATIENCE = 120.0
_AGGREGATES = '/redfish/v1/AggregationService/Aggregates'
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


class _Systems:
    """Several of them, from the side of libvirt."""

    systems = ()

    def states(self):
        return [system.domain.state()[0] for system in self.systems]

    def orphans(self):
        """The files that no system of it names."""
        named, found = set(), set()
        for system in self.systems:
            orphans = {*system.orphans()}
            named |= {*system.leftovers()} - orphans
            found |= orphans
        return sorted(found - named)


class Lab(_Systems):
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

    def snapshots(self):
        return [system.domain.snapshotListNames() for system in self.systems]


class ServedGroup(_Systems):
    """*systems* as one group of the emulator."""

    def __init__(self, emulator, systems):
        self.emulator, self.systems = emulator, systems
        elements = [
            {'@odata.id': f'/redfish/v1/Systems/{system.uuid}'}
            for system in systems
        ]
        made = requests.post(
            f'{emulator.url}{_AGGREGATES}', json={'Elements': elements}
        )
        assert made.status_code == 201, made.text
        self.url = emulator.url + made.headers['Location']
        self.snapshots = f'{self.url}/Oem/HawkFish/Snapshots'

    def post_create(self, name, **body):
        return requests.post(self.snapshots, json={'Name': name, **body})

    def create(self, name, **body):
        made = self.emulator.wait(self.post_create(name, **body))
        assert made.status_code == 201, made.text
        return made.json()

    def post_revert(self, name, **body):
        action = 'Actions/HawkFishGroupSnapshot.Revert'
        return requests.post(f'{self.snapshots}/{name}/{action}', json=body)

    def revert(self, name, **body):
        ended = self.emulator.wait(self.post_revert(name, **body))
        assert ended.status_code == 200, ended.text

    def send_delete(self, name):
        return requests.delete(f'{self.snapshots}/{name}')

    def delete(self, name):
        ended = self.emulator.wait(self.send_delete(name))
        assert ended.status_code == 204, ended.text

    def reset(self, kind):
        action = f'{self.url}/Actions/Aggregate.Reset'
        accepted = requests.post(action, json={'ResetType': kind})
        ended = self.emulator.wait(accepted)
        assert ended.status_code == 200, ended.text

    def show(self, name):
        found = requests.get(f'{self.snapshots}/{name}')
        assert found.status_code == 200, found.text
        return found.json()

    def names(self):
        found = requests.get(f'{self.snapshots}?$expand=.').json()
        return [member['Name'] for member in found['Members']]

    def theirs(self):
        """The snapshots that libvirt has of each system."""
        return [sorted(s.domain.snapshotListNames()) for s in self.systems]

    def leftovers(self):
        return sorted({file for s in self.systems for file in s.leftovers()})


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
