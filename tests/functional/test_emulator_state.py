# SPDX-License-Identifier: Apache-2.0
"""What the emulator says of a system after a revert is true."""

import functools
import http.server
import threading

import pytest
import requests

from tests.functional.conftest import SMALL
from tests.lab.host import IMAGES
from tests.waiting import wait_for


@pytest.fixture
def web(folder):
    """A web server with two ISO images; its address."""
    files = folder / 'www'
    files.mkdir()
    for name in ('one.iso', 'two.iso'):
        (files / name).write_bytes(name.encode().ljust(2**20, b'\0'))
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(files)
    )
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()


@pytest.fixture
def system(make_system, host, external):
    firmware = 'uefi' if external else 'bios'
    made = make_system(**SMALL, firmware=firmware, cdrom='empty')
    yield made
    for path in host.path(IMAGES).glob('*.img'):
        path.unlink()


def medium(emulator, system):
    """What the emulator says of the drive: inserted, and the name."""
    body = requests.get(f'{emulator.system(system.uuid)}/VirtualMedia/Cd')
    return body.json()['Inserted'], body.json()['ImageName']


def act(emulator, system, action, **body):
    response = requests.post(
        f'{emulator.system(system.uuid)}/VirtualMedia/Cd/Actions/'
        f'VirtualMedia.{action}',
        json=body,
    )
    assert response.status_code == 204, response.text


def get(emulator, system, path=''):
    return requests.get(emulator.system(system.uuid) + path).json()


def test_media_go_back(emulator, system, web, external):
    """
    What is in a drive is told as it is: inserted, another, ejected, gone.
    """
    emulator.create(system.uuid, Name='empty')
    act(emulator, system, 'InsertMedia', Image=f'{web}/one.iso')
    assert medium(emulator, system) == (True, 'one.iso')
    image = next(system.host.path(IMAGES).glob('one-iso-*.img'))
    emulator.create(system.uuid, Name='one')

    emulator.revert(system.uuid, 'empty')
    # The look after the revert may still have the system.
    wait_for(lambda: medium(emulator, system) == (False, None))
    emulator.revert(system.uuid, 'one')
    wait_for(lambda: medium(emulator, system) == (True, image.name))
    act(emulator, system, 'EjectMedia')
    assert medium(emulator, system) == (False, None)
    if not external:
        return
    # The emulator removes what it has ejected.
    image.unlink(missing_ok=True)
    emulator.revert(system.uuid, 'one')
    wait_for(lambda: medium(emulator, system) == (False, None))
    assert 'HawkFish.1.0.MediaEjected' in {
        message['MessageId'] for message in emulator.tasks()[-1]['Messages']
    }
    act(emulator, system, 'InsertMedia', Image=f'{web}/two.iso')
    assert medium(emulator, system) == (True, 'two.iso')
    emulator.delete(system.uuid, 'one')
    emulator.delete(system.uuid, 'empty')


# UEFI systems have no internal snapshots here.
@pytest.mark.once
def test_settings_go_back(emulator, system):
    """Boot device, BIOS attributes and secure boot are the snapshot's."""
    uri = emulator.system(system.uuid)

    def state():
        return (
            get(emulator, system)['Boot']['BootSourceOverrideTarget'],
            get(emulator, system, '/BIOS')['Attributes'],
            get(emulator, system, '/SecureBoot').get('SecureBootEnable'),
            system.domain.XMLDesc(0).partition('<nvram')[2][:200],
        )

    before = state()
    emulator.create(system.uuid, Name='s')
    for path, body in {
        '': {'Boot': {'BootSourceOverrideTarget': 'Cd'}},
        '/BIOS/Settings': {'Attributes': {'NumCores': '8'}},
    }.items():
        changed = requests.patch(uri + path, json=body)
        assert changed.status_code in (202, 204), changed.text
    assert state() != before

    emulator.revert(system.uuid, 's')

    assert state() == before
