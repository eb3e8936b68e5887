# SPDX-License-Identifier: Apache-2.0
"""A system's policy says what it can have, and a refusal says the same."""

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.lab import domains
from tests.lab.domains import Disk
from tests.served import message_ids


def capabilities(emulator, system):
    response = requests.get(
        f'{emulator.system(system.uuid)}/Oem/HawkFish/SnapshotPolicy'
    )
    assert response.status_code == 200, response.text
    return response.json()['Capabilities']


def small(**fields):
    return {'size_mib': 16, 'formatted': False, **fields}


def test_what_is_captured_and_what_is_left_out(
    make_system, emulator, host, external
):
    """Every disk is listed, with the reason where it is left out."""
    system = make_system(
        **SMALL
        | {
            'disks': (Disk(**small()), Disk(**small(readonly=True))),
            'cdrom': domains.make_medium(host, 'node-medium.iso'),
        }
    )

    can = capabilities(emulator, system)

    assert [(d['Target'], d['Captured']) for d in can['Disks']] == [
        ('vda', True),
        ('vdb', False),
        ('sda', False),
    ]
    assert all(d['Reason'] for d in can['Disks'] if not d['Captured'])
    assert can['ExternalSupported'] is True
    assert can['InternalSupported'] is True
    assert can['StorageType'] == ('External' if external else 'Internal')
    assert can['LibvirtVersion'] == host.version
    assert can['Findings'] == []
    emulator.create(system.uuid, Name='s')


@pytest.mark.parametrize(
    'fields, key',
    [
        ({'shareable': True, 'format': 'raw'}, 'DiskShareable'),
        ({'transient': True}, 'DiskTransient'),
    ],
)
def test_a_finding_is_the_refusal(make_system, emulator, fields, key):
    """What stands in the way is told before anybody asks for a snapshot."""
    system = make_system(
        **SMALL | {'disks': (Disk(**small()), Disk(**small(**fields)))}
    )

    can = capabilities(emulator, system)
    refused = emulator.post_create(system.uuid, Name='s')

    assert not can['ExternalSupported'] and not can['InternalSupported']
    assert key in message_ids(refused)
    info = refused.json()['error']['@Message.ExtendedInfo']
    assert [f['Message'] for f in can['Findings']] == [
        entry['Message'] for entry in info
    ]
    assert 'vdb' in [f['Disk'] for f in can['Findings']]
    assert all(f['Resolution'] for f in can['Findings'])


def test_the_kind_is_not_possible(make_system, emulator, external):
    """Where that kind is not, the words name the reason and the way out."""
    if external:
        pytest.skip('external snapshots have no such limit')
    system = make_system(**SMALL, firmware='uefi')

    can = capabilities(emulator, system)

    assert can['ExternalSupported'] and not can['InternalSupported']
    keys = [f['MessageId'].rpartition('.')[2] for f in can['Findings']]
    assert keys == ['InternalNeedsQcow2Nvram']


def test_the_agent_decides_about_quiescing(make_system, emulator):
    """Without a channel for the agent nothing can be quiesced."""
    with_agent = make_system(**SMALL | {'agent': True})
    without = make_system(**SMALL)

    assert capabilities(emulator, with_agent)['QuiesceSupported'] is True
    assert capabilities(emulator, without)['QuiesceSupported'] is False


# A raw disk has no internal snapshot.
@pytest.mark.once
def test_a_part_of_a_file(make_system, emulator, host):
    """
    Neither a create nor a revert lets the guest read the whole file.

    A snapshot of such a disk is one of virsh.
    """
    system = make_system(**SMALL | {'disks': (Disk(**small(format='raw')),)})
    text = system.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)
    (path,) = system.sources()
    part = "<slice type='storage' offset='1048576' size='1048576'/>"
    host.connect().defineXML(
        text.replace(
            f"<source file='{path}'/>",
            f"<source file='{path}'><slices>{part}</slices></source>",
        )
    )
    system.domain.create()
    can = capabilities(emulator, system)
    refused = emulator.post_create(system.uuid, Name='s')

    assert message_ids(refused) == ['DiskRemapped'], refused.text
    assert [f['Disk'] for f in can['Findings']] == ['vda']
    system.domain.snapshotCreateXML(
        '<domainsnapshot><name>s</name></domainsnapshot>',
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY,
    )
    before = system.sources()
    refused = emulator.post_revert(system.uuid, 's')
    assert message_ids(refused) == ['DiskRemapped'], refused.text
    assert system.sources() == before
