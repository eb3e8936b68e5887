# SPDX-License-Identifier: Apache-2.0
"""Changes of domains that libvirt does not come to an end with."""

import threading

import libvirt
import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import domains, hosts, offline
from hawkfish_plugin.drivers.libvirt.deadlines import Deadlines
from tests.unit.libvirt.hypervisors import Hypervisor, definition

DOMAIN, HOST = libvirt.virDomain, libvirt.virConnect
TEXT = definition('node', ['/disk'])


def merge(domain):
    with offline.merger(domain, []):
        pass


CHANGES = {
    'start': (DOMAIN, 'createWithFlags', lambda d: d.start(contract.ON)),
    'resume': (DOMAIN, 'resume', lambda d: d.resume()),
    'destroy': (DOMAIN, 'destroy', lambda d: d.destroy()),
    'commit': (DOMAIN, 'blockCommit', lambda d: d.block_commit('vda')),
    'pivot': (DOMAIN, 'blockJobAbort', lambda d: d.block_job_pivot('vda')),
    'define': (HOST, 'defineXML', lambda d: domains.define(d.host, TEXT)),
    'restore': (
        HOST,
        'restoreFlags',
        lambda d: domains.restore(d.host, '/memory', TEXT),
    ),
    'merger': (HOST, 'createXML', merge),
}


@pytest.fixture
def domain():
    hypervisor = Hypervisor()
    shared = hosts.Shared(changes=Deadlines(0.1, 0.1))
    host = hosts.Host(hypervisor.connection, shared)
    yield domains.find(host, hypervisor.define('/disk').uuid)
    hypervisor.close()


@pytest.mark.parametrize('change', CHANGES)
def test_every_change_has_a_deadline(domain, monkeypatch, change):
    """Whoever waits for it is told what does not answer."""
    kind, name, call = CHANGES[change]
    go = threading.Event()
    monkeypatch.setattr(kind, name, lambda *_: go.wait(60))
    try:
        with pytest.raises(exceptions.NotAnswering):
            call(domain)
    finally:
        go.set()
