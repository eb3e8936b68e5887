# SPDX-License-Identifier: Apache-2.0
"""Where the state of a firmware is, and how its copies are kept together."""

import os

import pytest

from hawkfish_plugin.drivers.libvirt import firmware, xml

UUID = '9f3f6c7e-51d1-4a0b-8a8e-0f0e8f1d2c3b'
DOMAIN = xml.parse(
    f"<domain><uuid>{UUID}</uuid><devices><tpm><backend type='emulator'/>"
    '</tpm></devices></domain>'
)


class Storage:
    """Files of a host behind *uri*."""

    def __init__(self, uri='qemu:///system', **files):
        self.connection = self
        self.getURI = lambda: uri
        self.files = {f'/{k.replace("_", "/")}': v for k, v in files.items()}

    def exists(self, path):
        return path in self.files

    def read(self, path, most):
        return self.files.get(path)

    def write(self, path, data):
        self.files[path] = data

    def remove(self, path):
        self.files.pop(path, None)


@pytest.mark.parametrize(
    'uri, user, folder',
    [
        ('qemu:///system', 0, '/var/lib/libvirt/swtpm'),
        ('qemu+ssh://host/system', 1000, '/var/lib/libvirt/swtpm'),
        ('qemu:///session', 1000, '/home/u/.config/libvirt/qemu/swtpm'),
        # libvirt gives root the system's daemon.
        ('qemu:///session', 0, '/var/lib/libvirt/swtpm'),
        ('qemu+ssh://host/session', 1000, None),
    ],
)
def test_a_tpm(monkeypatch, uri, user, folder):
    """A TPM is where its daemon keeps it, or nobody knows where."""
    monkeypatch.setattr(os, 'geteuid', lambda: user)
    monkeypatch.setenv('HOME', '/home/u')
    monkeypatch.delenv('XDG_CONFIG_HOME', raising=False)

    found = firmware.files(Storage(uri), DOMAIN, active=False)

    whole = f'{folder}/{UUID}/tpm2/tpm2-00.permall'
    assert found == ({'tpm': whole} if folder else {})


def test_a_configuration_home(monkeypatch):
    """XDG_CONFIG_HOME is heard, as libvirt hears it."""
    monkeypatch.setattr(os, 'geteuid', lambda: 1000)
    monkeypatch.setenv('XDG_CONFIG_HOME', '/etc/u')

    found = firmware.files(Storage('qemu:///session'), DOMAIN, active=False)

    assert found['tpm'].startswith('/etc/u/libvirt/qemu/swtpm/')


@pytest.mark.parametrize('folders', [['/a', '/b', '/c'], ['/c', '/b', '/a']])
def test_copies_come_home(folders):
    """Copies are moved to where they are looked for, once and for all."""
    storage = Storage(b_x=b'data')
    for _ in range(2):
        firmware.bring_home(storage, {'nvram': '/a/x'}, folders)

    assert storage.files == {'/a/x': b'data'}


def test_copies_at_home_stay():
    """What is there is never replaced."""
    storage = Storage(a_x=b'mine', b_x=b'other')

    firmware.bring_home(storage, {'nvram': '/a/x'}, ['/a', '/b'])

    assert storage.files['/a/x'] == b'mine'


def test_a_tpm_that_nobody_finds(monkeypatch):
    """Its copy is empty, and nothing is changed when it is put back."""
    monkeypatch.setattr(os, 'geteuid', lambda: 1000)
    storage = Storage('qemu+ssh://host/session')

    firmware.capture(storage, DOMAIN, {'tpm': '/a/x'})
    before = dict(storage.files)
    firmware.restore(storage, 's', DOMAIN, {'tpm': '/a/x'})

    assert list(before) == ['/a/x']
    assert storage.files == before
