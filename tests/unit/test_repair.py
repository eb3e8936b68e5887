# SPDX-License-Identifier: Apache-2.0
"""The repair of an unsafe system, over a driver that has one."""

import types

import requests

from hawkfish_plugin.drivers import contract, sharing
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.operations.repair import Repair
from tests.unit.libvirt.recordings import Context

SYSTEM = contract.System('27946b59-9e44-4fa7-8e91-f3527a1ef094', 'node')


class Driver:
    """One system, which is unsafe until it is repaired."""

    unsafe = True

    def plan_repair(self, uuid):
        return [sharing.Repair('vda', '/old', '/new')] if self.unsafe else []

    def repair(self, uuid):
        self.unsafe = False

    def nothing(self, *args):
        return None

    violations = check_start = nothing


class Job(Context):
    def __init__(self):
        super().__init__()
        self.task = types.SimpleNamespace(one_system=SYSTEM)
        self.messages = []

    def add_message(self, message_id, *args):
        self.messages.append(args)


def test_a_repair():
    """It is told which file each disk has again."""
    driver, job = Driver(), Job()
    repair = Repair(driver, None, Findings(driver, None, None))

    assert repair.run(job) == {'repaired': ['vda']}

    assert not driver.unsafe
    assert job.messages == [('vda', '/old', '/new')]


def test_a_repair_that_was_interrupted():
    """Settled after its change was made, it tells of it all the same."""
    driver, job = Driver(), Job()
    repair = Repair(driver, None, Findings(driver, None, None))

    def die(uuid):
        driver.unsafe = False
        raise SystemExit

    driver.repair = die
    try:
        repair.run(job)
    except SystemExit:
        del driver.repair

    assert repair.settle(job) == {'repaired': ['vda']}
    assert job.messages == [('vda', '/old', '/new')]


def test_a_system_that_is_safe(emulator):
    """There is nothing to change; a dry run makes no task."""
    target = (
        f'{emulator.snapshots_url}/Actions/HawkFishSnapshotCollection.Repair'
    )

    planned = requests.post(target, json={'DryRun': True}, timeout=60)
    repaired = emulator.wait(requests.post(target, timeout=60))

    assert (planned.status_code, planned.json()['Repairs']) == (200, [])
    assert repaired.status_code == 200
