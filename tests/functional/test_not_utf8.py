# SPDX-License-Identifier: Apache-2.0
"""
A volume that cannot be read is minded no more than one that is gone.

libvirt-python raises UnicodeDecodeError for a name that is not UTF-8, of an
old archive say, and such a file may lie in any pool of the host.
"""

import contextlib
import os

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.lab.host import IMAGES

pytestmark = pytest.mark.once


@pytest.fixture(params=[IMAGES, '/srv/isos'], ids=['beside', 'elsewhere'])
def odd_file(host, request):
    """A function that makes it, in the pool of the disks or in another."""
    folder = request.param
    host.path(folder).mkdir(exist_ok=True)
    path = os.fsencode(host.path(folder)) + b'/\xfcbung.iso'
    connection, pool = host.connect(), None
    if folder != IMAGES:
        pool = connection.storagePoolDefineXML(
            f"<pool type='dir'><name>isos</name><target><path>{folder}</path>"
            '</target></pool>'
        )
        pool.create()

    def make():
        with open(path, 'wb') as file:
            file.write(bytes(512))
        connection.storagePoolLookupByTargetPath(folder).refresh()

    yield make
    os.unlink(path)
    connection.storagePoolLookupByTargetPath(folder).refresh()
    if pool is not None:
        pool.destroy()
        pool.undefine()


def test_a_name_that_is_not_utf8(make_system, emulator, odd_file):
    """Everything works as without it."""
    system = make_system(**SMALL)
    odd_file()
    # What was seen before is remembered, but by no other process.
    emulator.stop()
    emulator.start()
    base = f'{emulator.system(system.uuid)}/Oem/HawkFish/Snapshots'

    created = emulator.wait(emulator.post_create(system.uuid, Name='s'))
    answers = {
        'create': created,
        'show': requests.get(f'{base}/s'),
        'list': requests.get(f'{base}?$expand=.'),
        'revert': requests.post(
            f'{base}/s/Actions/HawkFishSnapshot.Revert', json={}
        ),
    }
    with contextlib.suppress(AssertionError):
        answers['reverted'] = emulator.wait(answers['revert'])
    answers['delete'] = requests.delete(f'{base}/s')
    with contextlib.suppress(AssertionError):
        answers['deleted'] = emulator.wait(answers['delete'])

    wrong = {k: a.status_code for k, a in answers.items() if not a.ok}
    assert wrong == {}
    with pytest.raises(libvirt.libvirtError):
        system.domain.snapshotLookupByName('s')
