# SPDX-License-Identifier: Apache-2.0
"""An emulator that is killed over a bundle leaves no half of anything."""

import io
import json
import socket
import tarfile

import pytest
import requests

from hawkfish_plugin.drivers import behaviour
from hawkfish_plugin.emulator import internals
from tests.served import FAKE_UUID, Served
from tests.waiting import wait_for

TAR = {'Content-Type': 'application/x-tar'}
IMPORT = '/redfish/v1/Oem/HawkFish/Import'


@pytest.fixture
def served(tmp_path):
    """The emulator with one snapshot, which can be told where to die."""
    made = Served(tmp_path)
    made.command[0] = 'hawkfish-emulator'
    made.start()
    made.create(FAKE_UUID, Name='a')
    yield made
    made.stop()


def export(served):
    action = (
        f'{served.collection(FAKE_UUID)}/a/Actions/HawkFishSnapshot.Export'
    )
    return requests.post(action, json={}, timeout=60)


def exports(served):
    url = f'{served.system(FAKE_UUID)}/Oem/HawkFish/Exports?$expand=.'
    return requests.get(url, timeout=60).json()['Members']


def kept(served, name):
    """What the fake host has: the files of one kind."""
    config = {'SUSHY_EMULATOR_STATE_DIR': str(served.folder)}
    return list(internals.persistent_dict(config, f'hawkfish-{name}'))


def systems(served):
    url = f'{served.url}/redfish/v1/Systems'
    return requests.get(url, timeout=60).json()['Members']


def bundle(served):
    made = served.wait(export(served)).json()
    content = requests.get(served.url + made['DataURI'], timeout=60).content
    requests.delete(served.url + made['@odata.id'], timeout=60)
    return content


@pytest.mark.parametrize('step', behaviour.STEPS['export'])
def test_a_killed_export_is_whole_or_gone(served, step):
    """And so are its files."""
    served.restart('--fake-die', f'export:{step}')
    export(served)
    served.wait_dead()

    served.restart()
    served.wait_ended()

    found = exports(served)
    assert len(found) == len(kept(served, 'staged')) == (step == 'finish')
    for one in found:
        content = requests.get(served.url + one['DataURI'], timeout=60)
        with tarfile.open(fileobj=io.BytesIO(content.content)) as tar:
            assert json.load(tar.extractfile('manifest.json'))


@pytest.mark.parametrize(
    'place',
    [
        f'{operation}:{step}'
        for operation in ('create', 'export', 'delete')
        for step in behaviour.STEPS[operation]
    ],
)
def test_a_killed_export_of_a_system_leaves_no_snapshot(served, place):
    """And is whole, or gone."""
    served.restart('--fake-die', place)
    requests.post(f'{served.system(FAKE_UUID)}/Oem/HawkFish/Exports', json={})
    served.wait_dead()

    served.restart()
    served.wait_ended()

    assert [one['Name'] for one in served.snapshots(FAKE_UUID)] == ['a']
    found = exports(served)
    assert len(found) == len(kept(served, 'staged')) <= 1
    assert found or not place.startswith('delete')


@pytest.mark.parametrize('step', behaviour.STEPS['import'])
def test_a_killed_import_is_whole_or_gone(served, step):
    """No half of a system, and no file that none has."""
    content = bundle(served)
    served.restart('--fake-die', f'import:{step}')
    requests.post(
        f'{served.url}{IMPORT}?Name=new',
        data=content,
        headers=TAR,
        timeout=60,
    )
    served.wait_dead()

    served.restart()
    served.wait_ended()

    made = step == 'finish'
    assert len(systems(served)) == 1 + made
    wait_for(
        lambda: len(kept(served, 'files')) == made,
        lambda: f'the end of {kept(served, "files")}',
    )


def test_a_killed_upload_is_gone(served):
    """Whatever of it had arrived."""
    content = bundle(served)
    with socket.create_connection(('127.0.0.1', served.port)) as client:
        client.sendall(
            f'POST {IMPORT}?Name=new HTTP/1.1\r\nHost: x\r\n'
            'Content-Type: application/x-tar\r\n'
            f'Content-Length: {len(content)}\r\n\r\n'.encode()
            + content[:-100_000]
        )
        wait_for(lambda: kept(served, 'files'), 'the first file')
        served.restart()

    wait_for(
        lambda: not kept(served, 'files'),
        lambda: f'the end of {kept(served, "files")}',
    )
    assert len(systems(served)) == 1


@pytest.mark.parametrize('step', behaviour.STEPS['import'])
def test_a_killed_import_over_a_system_is_whole_or_gone(served, step):
    """What the system was before is in a snapshot in either case."""
    content = bundle(served)
    served.restart('--fake-die', f'import:{step}')
    requests.post(
        f'{served.url}{IMPORT}?Over=fake',
        data=content,
        headers=TAR,
        timeout=60,
    )
    served.wait_dead()

    served.restart()
    served.wait_ended()

    names = [one['Name'] for one in served.snapshots(FAKE_UUID)]
    assert [name.partition('-')[0] for name in names] == ['a', 'safety']
    assert len(systems(served)) == 1
    wait_for(
        lambda: len(kept(served, 'files')) == (step == 'finish'),
        lambda: f'the end of {kept(served, "files")}',
    )
