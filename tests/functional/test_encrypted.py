# SPDX-License-Identifier: Apache-2.0
"""A disk that QEMU encrypts is never written in plain text."""

import contextlib
import subprocess

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.lab.domains import Disk
from tests.served import message_ids

pytestmark = pytest.mark.once

SECRET = '9f3f6c7e-51d1-4a0b-8a8e-0f0e8f1d2c3b'


@pytest.fixture
def encrypted(host, make_system):
    """A system with an encrypted disk; it is off."""
    system = make_system(**SMALL | {'disks': (Disk(),)})
    (path,) = system.sources()
    subprocess.run(
        f'chroot {host.root} qemu-img convert '
        '--object secret,id=s,data=word -O qcow2 -o '
        'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 '
        f'{path} {path}.new && mv {host.path(path)}.new {host.path(path)}',
        shell=True,
        check=True,
    )
    with contextlib.closing(host.connect()) as connection:
        secret = connection.secretDefineXML(
            f"<secret ephemeral='no' private='no'><uuid>{SECRET}</uuid>"
            f"<usage type='volume'><volume>{path}</volume></usage></secret>"
        )
        secret.setValue(b'word')
        text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        connection.defineXML(
            text.replace(
                f"<source file='{path}'/>",
                f"<source file='{path}'><encryption format='luks'><secret "
                f"type='passphrase' uuid='{SECRET}'/></encryption></source>",
            )
        )
        yield system
        if system.domain.isActive():
            system.domain.destroy()
        secret.undefine()


@pytest.mark.parametrize('power', ['off', 'running'])
def test_a_create_is_refused(encrypted, emulator, power):
    """Neither an overlay nor the memory is stored in plain text."""
    if power == 'running':
        encrypted.domain.create()
    before = encrypted.sources()
    policy = f'{emulator.system(encrypted.uuid)}/Oem/HawkFish/SnapshotPolicy'
    can = requests.get(policy, timeout=30).json()['Capabilities']

    refused = emulator.post_create(encrypted.uuid, Name='s')

    assert message_ids(refused) == ['DiskEncrypted'], refused.text
    assert refused.status_code == 409
    assert [finding['Disk'] for finding in can['Findings']] == ['vda']
    assert encrypted.sources() == before
    assert encrypted.leftovers() == []
    if power == 'off':
        encrypted.domain.create()
