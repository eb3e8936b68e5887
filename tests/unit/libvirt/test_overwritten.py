# SPDX-License-Identifier: Apache-2.0
"""Which snapshots a running system writes to."""

import pytest

from hawkfish_plugin.drivers.libvirt import snapshots
from tests.unit.libvirt import hosted

BASE = '/images/base.qcow2'
OVERLAY = '/images/hawkfish-0123456789ab-vda.qcow2'


class Running(hosted.Handle):
    """A domain that runs; *then* is called when its job is asked for."""

    then = staticmethod(lambda: None)

    def isActive(self):
        return 1

    def jobInfo(self):
        self.then()
        return [0]


@pytest.fixture
def node():
    with hosted.libvirtd() as host:
        host.file(BASE)
        node = host.domain('node', host.file(OVERLAY, BASE))
        node.handle.__class__ = Running
        node.handle.capture('s', BASE, OVERLAY)
        yield node


def written(node):
    with node.host.moments.within():
        return snapshots.written(node, snapshots.read_all(node))


def test_a_system_that_was_started_with_an_old_definition(node):
    node.handle.disks = [hosted.disk(BASE)]

    assert written(node) == {'s'}


def test_a_snapshot_that_is_being_made(node):
    """libvirt lists it before it has captured anything."""
    node.handle.disks = [hosted.disk(BASE)]

    def captured():
        node.handle.disks = [hosted.disk(OVERLAY)]

    node.handle.then = captured
    assert written(node) == set()
