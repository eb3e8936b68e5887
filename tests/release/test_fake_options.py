# SPDX-License-Identifier: Apache-2.0
"""The options that let the fake driver be slow, fail and die."""

import subprocess

import pytest
import requests

from hawkfish_plugin.drivers import behaviour
from tests.served import BIN, FAKE_UUID, Served, message_ids
from tests.waiting import wait_for


@pytest.fixture
def process(tmp_path):
    """``hawkfish-emulator``, to be given options and started."""
    made = Served(tmp_path)
    made.command[0] = 'hawkfish-emulator'
    yield made
    made.stop()


def take(*arguments):
    settings = {}
    others = behaviour.take(arguments, settings)
    return others, settings[behaviour.SETTING]


def test_the_others_are_the_emulators():
    """What is not ours is passed on as it stands, and asks for nothing."""
    arguments = ['--fake', '--port', '8000', '-i', '::1', '--fak', 'x']

    others, wanted = take(*arguments)

    assert others == arguments
    assert wanted == behaviour.Behaviour(die_at=frozenset())


def test_what_is_asked_for():
    """Each of ours is taken, and says how operations go."""
    others, wanted = take(
        *('--fake-seconds', '1.5', '--fake', '--fake-die=create:capture'),
        *('--fake-fail', 'delete:merge', '--fake-fail', 'revert:finish'),
    )

    assert others == ['--fake']
    assert wanted.seconds == 1.5
    assert set(wanted.fail_at) == {'delete:merge', 'revert:finish'}
    assert wanted.fail_at['delete:merge'].args[0] == 'delete'
    assert wanted.die_at == {'create:capture'}


@pytest.mark.parametrize(
    'arguments, told',
    [
        (['--fake', '--fake-seconds', 'nan'], "'nan' is not a number of"),
        (['--fake', '--fake-seconds', '-1'], "'-1' is not a number of"),
        (['--fake', '--fake-seconds', 'x'], "'x' is not a number of seconds"),
        (['--fake', '--fake-fail', 'merge'], "'merge' is none of create:"),
        (['--fake', '--fake-die', 'purge:x'], "'purge:x' is none of create:"),
        (['--fake', '--fake-die'], 'expected one argument'),
        (['--fake', '--fake-systems', '0'], "'0' is not a number from 1"),
        (['--fake', '--fake-systems', '1001'], "'1001' is not a number"),
        (['--fake', '--fake-systems', '-1'], "'-1' is not a number from 1"),
        (['--fake-systems', '3'], '--fake-systems needs --fake'),
        (['--fake-seconds', '1'], '--fake-seconds needs --fake'),
        (['--fake-fail', 'delete:merge'], '--fake-fail needs --fake'),
    ],
)
def test_what_makes_no_sense(capsys, arguments, told):
    """It is refused before anything is served, with what would be right."""
    settings = {}

    with pytest.raises(SystemExit) as ended:
        behaviour.take(arguments, settings)

    assert ended.value.code == 2
    assert told in capsys.readouterr().err
    assert settings == {}


@pytest.mark.parametrize('option', ['-h', '--help'])
def test_help(option):
    """It is that of one program: the emulator's options, and ours."""
    shown = subprocess.run(
        [BIN / 'hawkfish-emulator', '--fake-seconds', '1', option],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    usage, _, rest = shown.partition('\n\n')

    assert usage.startswith('usage: hawkfish-emulator [-h]')
    assert shown.count('usage: ') == 1
    assert 'sushy-emulator [' not in shown
    for word in (
        *('--ssl-key', '--fake-seconds', '--fake-fail', '--fake-die'),
        '--fake-systems',
    ):
        assert word in usage
        assert word in rest
    assert 'delete:merge' in rest


def test_several_systems(process):
    """Each has a name, a network card and snapshots of its own."""
    process.command += ['--fake-systems', '300']
    process.start()

    listed = requests.get(f'{process.url}/redfish/v1/Systems').json()
    process.create('fake-299', Name='a')

    uuids = {m['@odata.id'].rpartition('/')[2] for m in listed['Members']}
    assert (len(uuids), FAKE_UUID in uuids) == (300, True)
    assert [s['Name'] for s in process.snapshots('fake-299')] == ['a']
    assert process.snapshots('fake') == process.snapshots('fake-1') == []
    macs = {
        requests.get(f'{process.system(name)}/EthernetInterfaces')
        .json()['Members'][0]['@odata.id']
        .rpartition('/')[2]
        for name in ('fake', 'fake-1', 'fake-257')
    }
    assert len(macs) == 3


def test_a_failure(process):
    """An operation fails where the command line says so."""
    process.command += ['--fake-fail', 'create:capture']
    process.start()

    ended = process.wait(process.post_create(FAKE_UUID, Name='a'))

    assert message_ids(ended) == ['OperationFailed']
    assert process.snapshots(FAKE_UUID) == []


def test_a_slow_operation(process):
    """There is time to see one run, another wait, and to cancel both."""
    process.command += ['--fake-seconds', '600']
    process.start()
    accepted = [process.post_create(FAKE_UUID, Name=name) for name in 'ab']

    def states():
        return [task['TaskState'] for task in process.tasks()]

    wait_for(lambda: states() == ['Running', 'New'])
    for answer in accepted:
        process.cancel(answer)

    assert states() == ['Cancelled', 'Cancelled']


@pytest.mark.parametrize(
    'place, names', [('create:capture', ['a']), ('delete:merge', [])]
)
def test_a_death(process, place, names):
    """It dies at a step, and when it is started again goes on from there."""
    process.start()
    process.create(FAKE_UUID, Name='a')
    process.stop()
    process.command += ['--fake-die', place]
    process.start()
    accepted = (
        process.post_create(FAKE_UUID, Name='b')
        if place.startswith('create')
        else process.send_delete(FAKE_UUID, 'a')
    )
    process.wait_dead()

    process.start()

    ended = process.watch(accepted.headers['Location'])
    assert ended.status_code == (409 if names else 204), ended.text
    assert [s['Name'] for s in process.snapshots(FAKE_UUID)] == names
