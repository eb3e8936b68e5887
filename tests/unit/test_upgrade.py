# SPDX-License-Identifier: Apache-2.0
"""
Databases of an earlier release are served by this one.

``databases`` has one for each step of each operation, as the process was
killed there, with the tree of the fake driver at that moment beside it; they
were recorded with the code of the release that their folder is named after,
the first one that had the step.  The fake driver of 1.0 had no steps
``freeze`` and ``start``: theirs are those of the step before, with the step
and the journal that libvirt's driver would have noted.
"""

import ast
import hashlib
import importlib
import inspect
import json
import pathlib
import pkgutil
import sqlite3
import time

import pytest
from sushy_tools.emulator import main

import hawkfish_plugin
from hawkfish_plugin import operations, plugin
from hawkfish_plugin.drivers import behaviour, contract
from hawkfish_plugin.wiring import work
from tests.waiting import wait_for

PACKAGE = pathlib.Path(hawkfish_plugin.__file__).parent
RECORDED = {
    path.stem: path
    for path in (pathlib.Path(__file__).parent / 'databases').glob('*/*.sql')
}
SYSTEM = '27946b59-9e44-4fa7-8e91-f3527a1ef094'
SNAPSHOTS = f'/redfish/v1/Systems/{SYSTEM}/Oem/HawkFish/Snapshots'
TASKS = '/redfish/v1/TaskService/Tasks'

# What becomes of the last task, and of the snapshots.
OUTCOMES = {
    'create-claimed': ('Completed', ['a', 'b', 'new']),
    'create-room': ('Completed', ['b', 'new']),
    'create-prepare': ('Exception', ['a', 'b']),
    'create-freeze': ('Exception', ['a', 'b']),
    'create-capture': ('Exception', ['a', 'b']),
    'create-finish': ('Completed', ['a', 'b', 'new']),
    'revert-claimed': ('Completed', ['a', 'b']),
    'revert-prepare': ('Exception', ['a', 'b']),
    'revert-revert': ('Exception', ['a', 'b']),
    'revert-finish': ('Completed', ['a', 'b']),
    'revert-start': ('Completed', ['a', 'b']),
    'delete-claimed': ('Completed', ['a']),
    'delete-prepare': ('Completed', ['a']),
    'delete-merge': ('Completed', ['a']),
    'delete-finish': ('Completed', ['a']),
    'purge-claimed': ('Completed', []),
    'purge-purge': ('Completed', []),
    'purge-prepare': ('Completed', []),
    'purge-merge': ('Completed', []),
    'purge-finish': ('Completed', []),
}


class Upgraded:
    """This release, on the state of another one."""

    def __init__(self, folder, monkeypatch):
        self._folder = folder
        monkeypatch.setenv('OS_HAWKFISH__STATE_DIR', str(folder / 'hawkfish'))
        # Where the release that wrote it had it.
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
        self.database = (
            folder / 'hawkfish' / f'fake-{digest}' / 'hawkfish.sqlite'
        )

    def restore(self, name, *changes):
        """Let the state be the recorded one, with *changes* in SQL."""
        self.database.parent.mkdir(parents=True)
        with sqlite3.connect(self.database) as connection:
            connection.executescript(RECORDED[name].read_text())
            # It was queued just now: what is old is not begun any more.
            connection.execute('UPDATE tasks SET created = ?', (time.time(),))
            for change in changes:
                connection.execute(change)
        connection.close()
        app = main.Application()
        app.config['SUSHY_EMULATOR_FAKE_DRIVER'] = True
        app.config['SUSHY_EMULATOR_STATE_DIR'] = str(self._folder)
        plugin.setup(app)
        tree = json.loads(RECORDED[name].with_suffix('.json').read_text())
        app.extensions['hawkfish'].driver.plant(
            SYSTEM, [contract.Snapshot(**fields) for fields in tree]
        )
        self._client = app.test_client()

    def get(self, uri):
        return self._client.get(uri)

    def post(self, uri, **body):
        return self._client.post(uri, json=body)

    def tasks(self):
        """All tasks, once they have ended."""
        found = []

        def have_ended():
            found[:] = self.get(f'{TASKS}?$expand=.').json['Members']
            return all('EndTime' in task for task in found)

        wait_for(have_ended, lambda: f'the ends of {found}')
        return found

    def snapshots(self):
        members = self.get(f'{SNAPSHOTS}?$expand=.').json['Members']
        return {snapshot['Name']: snapshot for snapshot in members}


@pytest.fixture
def upgraded(tmp_path, monkeypatch):
    return Upgraded(tmp_path, monkeypatch)


@pytest.mark.parametrize('name', OUTCOMES)
def test_an_interrupted_task_is_settled(upgraded, name):
    """Whatever the operation, and whatever the step that it had begun."""
    state, names = OUTCOMES[name]

    upgraded.restore(name)
    # What goes before a create is a sub-task of it.
    *_, last = (
        task
        for task in upgraded.tasks()
        if task['Oem']['HawkFish']['Operation'] == name.partition('-')[0]
    )

    assert last['TaskState'] == state
    assert list(upgraded.snapshots()) == names
    if state == 'Exception':
        assert any(
            message['MessageId'].endswith('.OperationInterrupted')
            for message in last['Messages']
        )


def calls(source):
    """What *source* gives, as the name, to each call that notes a step."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, 'attr', '') == 'step'
        ):
            yield node.args[0]


def noted(path):
    """The names of the steps that a module notes, as it spells them."""
    for name in calls(path.read_text()):
        if isinstance(name, ast.Constant):
            yield name.value


def noted_by(module, kinds):
    """The names of the steps that a module notes, whatever they come from."""
    for name in calls(inspect.getsource(module)):
        # What another task has noted was declared for that one.
        if getattr(name, 'attr', '') == 'step':
            continue
        for kind in kinds:
            yield eval(ast.unparse(name), {**vars(module), 'self': kind})


def test_every_recorded_state_is_tried():
    """Of whatever release."""
    assert {*RECORDED} == {*OUTCOMES, 'queued', 'ended'}


@pytest.mark.parametrize(
    'name', [found.name for found in pkgutil.iter_modules(operations.__path__)]
)
def test_operations_declare_the_steps_that_they_note(name):
    """So none is forgotten, however its name is written in the code."""
    module = importlib.import_module(f'{operations.__name__}.{name}')
    every = work.KINDS.values()
    kinds = [k for k in every if k.__module__ == module.__name__] or every

    found = {*noted_by(module, kinds)}

    assert found <= {step for kind in kinds for step in kind.steps}


# The releases that databases were recorded of did not have these.
NOT_RELEASED = {
    'repair',
    'export',
    'export-now',
    'import',
    'import-over',
    'backup',
    'restore',
    'restore-over',
    'verify-backup',
    'delete-backup',
    'verify',
    *(name for name, kind in work.KINDS.items() if kind.of_group),
}


@pytest.mark.parametrize('kind', sorted(work.KINDS.keys() - NOT_RELEASED))
def test_every_step_of_an_operation_is_recorded(kind):
    """An operation that gets a step gets a database that was left there."""
    assert {f'{kind}-{step}' for step in work.KINDS[kind].steps} <= {*OUTCOMES}


def test_drivers_note_the_steps_of_the_contract():
    """No driver has a step that nobody has recorded."""
    known = {step for steps in contract.STEPS.values() for step in steps}
    drivers = (PACKAGE / 'drivers').rglob('*.py')
    found = {step for path in drivers for step in noted(path)}

    assert found == known
    for operation, places in behaviour.STEPS.items():
        assert set(places) <= set(contract.STEPS[operation])


@pytest.mark.parametrize('name', ['create-claimed', 'create-finish'])
def test_what_was_asked_of_a_create_is_kept(upgraded, name):
    """Its arguments are those of the release that queued it."""
    upgraded.restore(name)
    upgraded.tasks()
    made = upgraded.snapshots()['new']

    assert made['Locked']
    assert made['Description'] == 'words'
    assert made['ExpiresTime'] == '2099-01-01T00:00:00Z'


def test_queued_tasks_run_in_their_order(upgraded):
    """A revert waits for its safety snapshot, which that release noted."""
    upgraded.restore('queued')
    tasks = upgraded.tasks()[-5:]
    found = upgraded.snapshots()

    # The last one would delete what the queued ones have built upon.
    assert [task['TaskState'] for task in tasks] == [
        'Exception',
        'Completed',
        'Completed',
        'Completed',
        'Exception',
    ]
    assert [task['Oem']['HawkFish']['Operation'] for task in tasks] == [
        'create',
        'create',
        'create',
        'revert',
        'delete',
    ]
    assert found['a']['Current']
    assert found['q']['Locked']


@pytest.mark.parametrize('step', ['claimed', 'finish'])
def test_a_field_that_was_not_there_yet_has_its_default(upgraded, step):
    """A create that an even older release queued is run, or settled."""
    upgraded.restore(
        f'create-{step}',
        "UPDATE tasks SET arguments = json_remove(arguments, '$.locked', "
        "'$.expires', '$.spare', '$.memory', '$.quiesce') "
        "WHERE snapshot = 'new'",
    )
    last = upgraded.tasks()[-1]

    assert last['TaskState'] == 'Completed'
    assert not upgraded.snapshots()['new']['Locked']


def test_ended_tasks_are_shown_as_they_were(upgraded):
    """Their names, states, messages and what they have created."""
    with sqlite3.connect(':memory:') as recorded:
        recorded.executescript(RECORDED['ended'].read_text())
        rows = recorded.execute(
            'SELECT id, state, messages FROM tasks ORDER BY id'
        ).fetchall()

    upgraded.restore('ended')
    shown = upgraded.tasks()

    assert [
        (task['Id'], task['TaskState'], len(task['Messages']))
        for task in shown
    ] == [
        (str(number), state, len(json.loads(messages)))
        for number, state, messages in rows
    ]
    assert [task['Name'] for task in shown[:5]] == [
        'Create snapshot a',
        'Create snapshot b',
        'Create snapshot c',
        'Revert to snapshot b',
        'Delete snapshot c',
    ]
    assert shown[0]['Links']['CreatedResources'] == [
        {'@odata.id': f'{SNAPSHOTS}/a'}
    ]
    assert shown[2]['Links']['CreatedResources'] == []


@pytest.mark.parametrize(
    'number, status', [(43, 201), (46, 200), (47, 204), (48, 409)]
)
def test_a_monitor_answers_as_it_did(upgraded, number, status):
    """Of a create, a revert, a delete and a failure that have ended."""
    upgraded.restore('ended')

    monitor = f'/redfish/v1/TaskService/TaskMonitors/{number}'
    assert upgraded.get(monitor).status_code == status


def test_new_tasks_have_new_numbers(upgraded):
    """The numbers of tasks that were forgotten are not given again."""
    upgraded.restore('ended', 'DELETE FROM tasks')

    accepted = upgraded.post(SNAPSHOTS, Name='later')

    assert accepted.json['Id'] == '50'
