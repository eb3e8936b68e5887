# SPDX-License-Identifier: Apache-2.0
"""The errors of the SDK: a class for each message, with its advice."""

import copy
import pathlib
import pickle
import subprocess
import sys

import pytest
import sushy

from hawkfish_plugin import client, exceptions, messages
from hawkfish_plugin.client import answers, errors, failures, typed

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def snapshots(emulator):
    return client.HawkFish(emulator.url).snapshots(emulator.system)


def test_there_is_a_class_for_each_message(tmp_path):
    """tools/generrors has nothing to change, and leaves no message out."""
    made = tmp_path / 'errors.py'
    subprocess.run(
        [sys.executable, ROOT / 'tools/generrors', made], check=True
    )

    assert made.read_text() == pathlib.Path(errors.__file__).read_text()
    for error in (exceptions.SnapshotLocked, exceptions.BackupReferenced):
        assert issubclass(getattr(errors, error.__name__), typed.HTTPError)


def test_an_error_is_of_its_message(snapshots):
    """A refusal can be caught by its name, and says what to do."""
    locked = snapshots.create('a', locked=True).wait(20)

    with pytest.raises(errors.SnapshotLocked) as caught:
        locked.delete()

    (message,) = caught.value.messages
    known = messages.registry()['HawkFish.1.0.SnapshotLocked']
    assert message.message_id == 'HawkFish.1.0.SnapshotLocked'
    assert message.args == ('a',)
    assert message.resolution == known['Resolution']
    assert str(caught.value) == f'{message.text} {known["Resolution"]}'
    assert isinstance(caught.value, sushy.exceptions.HTTPError)
    assert caught.value.status_code == 409


def test_sushys_classes_still_catch(snapshots):
    """It is what sushy would have raised, too, however deep it comes from."""
    with pytest.raises(sushy.exceptions.BadRequestError) as caught:
        snapshots.create('a/b')
    assert isinstance(caught.value, errors.SnapshotNameInvalid)

    with pytest.raises(sushy.exceptions.ResourceNotFoundError) as caught:
        snapshots.get('missing')
    assert isinstance(caught.value, errors.ResourceMissingAtURI)
    assert isinstance(caught.value, client.NotFound)
    assert 'Snapshots/missing' in str(caught.value)


def test_a_failed_task_is_of_its_message(emulator, snapshots):
    """wait raises the same classes as a request."""
    full = exceptions.OperationFailed('create', 'the disk is full')
    emulator.behaviour.fail_at = {'create:capture': full}

    with pytest.raises(errors.OperationFailed, match='the disk is full'):
        snapshots.create('a').wait(20)


def test_an_error_with_several_messages_is_of_each(snapshots):
    """Whoever waits for one of them catches it."""
    for kind in (errors.PropertyUnknown, errors.PropertyValueTypeError):
        with pytest.raises(kind) as caught:
            snapshots._conn.post(
                snapshots.path, data={'Title': 'a', 'Locked': 'yes'}
            )
        assert len(caught.value.messages) == 2


def test_errors_of_sushys_own_connection(emulator):
    """Through sushy, the errors are the same."""
    root = sushy.Sushy(emulator.url)
    system = root.get_system(f'/redfish/v1/Systems/{emulator.system}')
    extension = system.get_oem_extension('HawkFish')

    with pytest.raises(errors.SnapshotNameInvalid):
        extension.snapshots.create('a/b')


def test_a_message_of_a_newer_service():
    """What this release does not know is an error like any other."""
    found = answers._kind(
        sushy.exceptions.HTTPError, ('HawkFish.1.7.MoonTooFull',)
    )

    assert found.__mro__[1:3] == (
        failures.HawkFishError,
        sushy.exceptions.HTTPError,
    )


def test_an_emulator_that_is_away():
    """No answer is an error of its own, and one of sushy."""
    with pytest.raises(client.Unreachable) as caught:
        client.HawkFish('http://127.0.0.1:1').tasks()

    assert isinstance(caught.value, sushy.exceptions.ConnectionError)
    assert client.messages(caught.value) == []
    assert str(caught.value) == (
        'Cannot reach http://127.0.0.1:1/redfish/v1/TaskService/Tasks: '
        'Connection refused'
    )


@pytest.mark.parametrize(
    'clone',
    [
        copy.copy,
        copy.deepcopy,
        lambda error: pickle.loads(pickle.dumps(error)),
    ],
)
def test_an_error_goes_to_another_process(snapshots, clone):
    """A copy is caught by the same names, and has all that the error has."""
    with pytest.raises(errors.SnapshotNameInvalid) as caught:
        snapshots.create('a/b')
    caught.value.add_note('of the test')

    copied = clone(caught.value)

    assert isinstance(copied, errors.SnapshotNameInvalid)
    assert isinstance(copied, sushy.exceptions.BadRequestError)
    assert type(copied) is type(caught.value)
    assert copied.__dict__ == caught.value.__dict__
    assert copied.args == caught.value.args
    assert str(copied) == str(caught.value)


def test_errors_without_a_message_go_to_another_process():
    """So do those that the service has not sent."""
    with pytest.raises(client.Unreachable) as caught:
        client.HawkFish('http://127.0.0.1:1/%7E%s').tasks()

    for error in (
        caught.value,
        client.TaskTimeout(task='1', timeout=2.5),
        client.CreatedGone(task='1'),
    ):
        copied = pickle.loads(pickle.dumps(error))
        assert type(copied) is type(error)
        assert str(copied) == str(error)


def test_a_service_names_no_class_but_of_a_message():
    """What else the module has does not become an error."""
    ids = ('x.__doc__', 'x.Unavailable', 'x.NotFound', 'x.ResourceNotFound')

    kind = answers._kind(sushy.exceptions.HTTPError, ids)

    assert kind.__name__ == 'ResourceNotFound'
    assert issubclass(kind, failures.NotFound)


@pytest.mark.parametrize('url', ['', 'nonsense', 'ftp://h'])
def test_what_is_no_url(url):
    """It is told where it is given, in words of its own."""
    with pytest.raises(ValueError, match='does not start with http'):
        client.HawkFish(url)
