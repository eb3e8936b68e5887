# SPDX-License-Identifier: Apache-2.0
"""Listings that remember, beside clients that change what they list."""

import threading

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.waiting import wait_for

REDEFINE = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
METADATA_ONLY = libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY


def plain(emulator, uuid):
    """The names of a listing that has links only."""
    uri = f'{emulator.system(uuid)}/Oem/HawkFish/Snapshots'
    members = requests.get(uri, timeout=30).json()['Members']
    return [m['@odata.id'].rpartition('/')[2] for m in members]


def test_links_follow_what_others_do(make_system, emulator):
    """A plain list has what is there now, oldest first, whoever made it."""
    system = make_system(**SMALL)
    for name in ('first', 'second'):
        emulator.create(system.uuid, Name=name)
    assert plain(emulator, system.uuid) == ['first', 'second']

    system.domain.snapshotLookupByName('second').delete(METADATA_ONLY)
    assert plain(emulator, system.uuid) == ['first']

    text = system.domain.snapshotLookupByName('first').getXMLDesc()
    older = text.replace('<name>first<', '<name>older<').replace(
        '<creationTime>1', '<creationTime>', 1
    )
    system.domain.snapshotCreateXML(older, REDEFINE)
    assert plain(emulator, system.uuid) == ['older', 'first']


def test_whole_members_follow_what_others_do(make_system, emulator):
    """A snapshot that virsh has redefined is shown as it is, at once."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='first', Description='before')
    assert emulator.snapshot(system.uuid, 'first')['Description'] == 'before'

    text = system.domain.snapshotLookupByName('first').getXMLDesc()
    system.domain.snapshotCreateXML(text.replace('before', 'after'), REDEFINE)

    assert emulator.snapshot(system.uuid, 'first')['Description'] == 'after'


@pytest.mark.parametrize('by', ['us', 'others'])
def test_one_that_is_listed_while_it_is_made_is_whole(
    make_system, emulator, by
):
    """libvirt lists it before the guest has gone on to another file."""
    system = make_system(agent=False).boot()
    if by == 'us':
        emulator.post_create(system.uuid, Name='clean')
    else:
        folder = system.sources()[0].rpartition('/')[0]
        text = (
            '<domainsnapshot><name>clean</name>'
            f"<memory snapshot='external' file='{folder}/hawkfish-x.mem'/>"
            "<disks><disk name='vda' snapshot='external'/></disks>"
            '</domainsnapshot>'
        )
        threading.Thread(
            target=system.domain.snapshotCreateXML, args=(text, 0)
        ).start()
    wait_for(
        lambda: (
            any(
                s['SnapshotState'] in ('Ready', 'Failed')
                for s in emulator.snapshots(system.uuid)
            )
            and not system.domain.jobInfo()[0]
        ),
        'the snapshot',
    )

    assert emulator.snapshot(system.uuid, 'clean')['SnapshotState'] == 'Ready'
