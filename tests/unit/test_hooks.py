# SPDX-License-Identifier: Apache-2.0
"""
What happens around a request of the emulator.

The resources are stand-ins under the emulator's endpoints, so that a test can
look from within a request; locks, tasks and the rest are the real ones.

Long, as each kind of request of the emulator has its test.
"""

import shutil
import types

import flask
import pytest

from hawkfish_plugin import (
    conf,
    db,
    deadlines,
    exceptions,
    locks,
    messages,
    rooms,
    sessions,
    supervision,
)
from hawkfish_plugin.accounts.table import Accounts
from hawkfish_plugin.drivers import contract, sharing
from hawkfish_plugin.emulator import handles, hooks, internals
from hawkfish_plugin.operations.findings import Findings
from hawkfish_plugin.records import Record
from hawkfish_plugin.services import EXTENSION
from hawkfish_plugin.tasks.operation import Operation
from hawkfish_plugin.tasks.table import Tasks
from hawkfish_plugin.tasks.task import Subject

SYSTEM = contract.System('27946b59-9e44-4fa7-8e91-f3527a1ef094', 'fake')
PATH = f'/redfish/v1/Systems/{SYSTEM.uuid}'
MEDIA = f'{PATH}/VirtualMedia/Cd'
UPDATE = '/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate'


class Driver:
    """The systems of a hypervisor that may be out of reach."""

    def __init__(self):
        self.error = None

    def resolve(self, identity):
        if self.error:
            raise self.error
        if identity not in (SYSTEM.uuid, SYSTEM.name):
            raise exceptions.SystemNotFound(identity)
        return SYSTEM


class SharingDriver(Driver):
    """One of definitions that the emulator reads and writes too."""

    def __init__(self):
        super().__init__()
        self.losses, self.changing, self.media = 0, False, {}
        self.unsafe, self.unchecked = False, None

    def connection_losses(self):
        return self.losses

    def changes_when_read(self, uuid):
        return self.changing

    def removable_media(self, uuid):
        return self.media

    def violations(self, uuid):
        return []

    def check_start(self, uuid):
        if self.unchecked:
            raise self.unchecked
        if self.unsafe:
            raise exceptions.DefinitionOnSnapshot('vda', '/disk', 's')

    def plan_repair(self, uuid):
        return [sharing.Repair('vda', '/disk', '/overlay')]

    def repair(self, uuid):
        self.unsafe = False

    def is_own(self, uuid):
        return uuid.startswith('own')


class Work(Operation):
    """An operation that nobody carries out."""

    name, title = 'work', 'Work'

    def run(self, context):
        return {}

    def settle(self, context):
        return {}


class Services:
    """As much of the services as the hooks need, in *folder*."""

    def __init__(self, folder, driver):
        database = db.Database(folder)
        self.folder, self.driver, self.started = folder, driver, False
        self.conf, self.locks = conf.load(), locks.Locks(folder)
        self.tasks = Tasks(database, self.locks, self.conf)
        self.events = self.tasks.events
        self.findings = Findings(driver, self.events, self.tasks)
        self.accounts = Accounts(conf.load())
        self.sessions = sessions.Sessions(database, self.accounts)
        self.may_start, self.rooms = True, rooms.Rooms(8)
        self.deadlines = deadlines.Deadlines(supervision.Supervisor())

    def start(self):
        self.started = self.may_start

    def may_serve(self, system):
        return True

    def interrupted(self):
        """A task whose process died over its first step."""
        self.submitted()
        task = self.tasks.claims.claim()
        self.tasks.claims.update(task.id, step='half')
        return task

    def submitted(self):
        subjects = [Subject(SYSTEM, 'a')]
        return self.tasks.submit(Work(), subjects, Record(), {})


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(locks, 'REQUEST_TIMEOUT', 0.1)


@pytest.fixture
def services(tmp_path):
    return Services(tmp_path / 'state', SharingDriver())


@pytest.fixture
def app(services):
    """An application whose answers tell what ``app.view`` has seen."""
    app = flask.Flask('stock')
    app.extensions[EXTENSION] = services
    app.view, app.systems = (lambda: None), types.SimpleNamespace()

    def view(identity=None, device=None):
        return {
            '@odata.id': flask.request.path,
            'Seen': app.view(),
            'Members': [{'@odata.id': f'/{n}'} for n in ('a', 'own-b', 'c')],
        }

    for path, endpoint in (
        ('Systems', internals.SYSTEMS),
        ('Managers', internals.MANAGERS),
        ('Systems/<identity>', internals.SYSTEM),
        ('Systems/<identity>/VirtualMedia/<device>', internals.VIRTUAL_MEDIA),
        (UPDATE.removeprefix('/redfish/v1/'), internals.SIMPLE_UPDATE),
        ('Systems/<identity>/Actions/ComputerSystem.Reset', internals.RESET),
    ):
        app.add_url_rule(
            f'/redfish/v1/{path}',
            endpoint,
            view,
            methods=['GET', 'PATCH', 'POST'],
        )
    hooks.install(app, services)
    return app


@pytest.fixture
def client(app):
    return app.test_client()


def is_locked(services, shared=False):
    try:
        with services.locks.system(SYSTEM.uuid, 0, shared):
            return False
    except exceptions.SystemLocked:
        return True


def message_id(response):
    (info,) = response.json['error']['@Message.ExtendedInfo']
    return info['MessageId'].rpartition('.')[2]


# Installation --------------------------------------------------------------


def test_nothing_is_used_before_the_first_request():
    """The hooks are installed without building any of the services."""

    class Unbuilt:
        def __getattr__(self, name):
            raise AssertionError(f'{name} is built')

    hooks.install(flask.Flask('stock'), Unbuilt())


@pytest.mark.parametrize(
    'debug, child, started',
    [(False, False, True), (True, False, False), (True, True, True)],
)
def test_services_start_with_the_server(
    services, monkeypatch, debug, child, started
):
    """Running starts them, but not where a process only watches files."""
    app = flask.Flask('stock')
    app.debug = debug
    app.run = lambda port, **_: (port, services.started)
    if child:
        monkeypatch.setenv('WERKZEUG_RUN_MAIN', 'true')
    hooks.install(app, services)

    assert app.run(port=8000) == (8000, started)


# Locks ---------------------------------------------------------------------


@pytest.mark.parametrize('name', [SYSTEM.uuid, SYSTEM.name])
def test_a_change_has_its_system_alone(app, client, services, name):
    """A mutating request holds the lock until its end, and no longer."""
    app.view = lambda: is_locked(services, shared=True)

    held = client.patch(f'/redfish/v1/Systems/{name}', json={})

    assert held.json['Seen'] is True
    assert not is_locked(services)


def test_a_crash_releases_the_lock(app, client, services):
    """The lock is released where the emulator fails as well."""
    app.view = lambda: 1 / 0

    assert client.patch(PATH, json={}).status_code == 500
    assert not is_locked(services)


def test_a_change_waits_for_our_operations(client, services):
    """What does not get the lock in time is refused, and reads go on."""
    with services.locks.system(SYSTEM.uuid, 0):
        refused = client.patch(PATH, json={})

        assert (refused.status_code, message_id(refused)) == (
            503,
            'SystemLocked',
        )
        assert client.get(PATH).status_code == 200


@pytest.mark.parametrize('changing, status', [(True, 503), (False, 200)])
def test_a_read_that_changes_waits(client, services, changing, status):
    """A read waits where the emulator would redefine the system for it."""
    services.driver.changing = changing

    with services.locks.system(SYSTEM.uuid, 0):
        assert client.get(PATH).status_code == status


@pytest.mark.parametrize('changing, status', [(True, 503), (False, 200)])
def test_a_read_that_changes_waits_for_who_shares(
    client, services, changing, status
):
    """A shared operation may rely on the definition of its system."""
    services.driver.changing = changing

    with (
        services.locks.system(SYSTEM.uuid, 0, shared=True),
        services.locks.definition(SYSTEM.uuid, 0, shared=True),
    ):
        assert client.get(PATH).status_code == status


def test_reads_share_their_lock(app, client, services):
    """Reads do not keep each other waiting, and keep operations out."""
    app.view = lambda: [
        is_locked(services, shared=True),
        is_locked(services),
    ]

    assert client.get(PATH).json['Seen'] == [False, True]


@pytest.mark.parametrize(
    'kind, status',
    [
        ('On', 409),
        ('ForceOn', 409),
        ('ForceRestart', 409),
        ('PushPowerButton', 409),
        ('ForceOff', 200),
        ('GracefulShutdown', 200),
    ],
)
def test_an_unsafe_system_is_not_started(client, services, kind, status):
    """What would overwrite a snapshot is refused, and recorded."""
    services.driver.unsafe = True
    target = f'{PATH}/Actions/ComputerSystem.Reset'

    answer = client.post(target, json={'ResetType': kind})

    assert answer.status_code == status
    if status == 409:
        assert message_id(answer) == 'DefinitionOnSnapshot'
        (event,) = services.events.after(0, 9)
        assert event.message_id == messages.SYSTEM_UNSAFE
        assert event.args[0] == SYSTEM.name
        # The lock is free.
        assert not is_locked(services)
    services.driver.unsafe = False
    assert client.post(target, json={'ResetType': kind}).status_code == 200


UNCHECKED = (
    exceptions.NotAnswering('/nfs', 60),
    exceptions.HypervisorUnavailable('qemu:///system', 'it is silent'),
    exceptions.HypervisorBusy('start', 'timed out'),
    exceptions.OperationFailed('start', 'internal error'),
    exceptions.FolderUnreadable('/images', 'denied'),
)


@pytest.mark.parametrize('error', UNCHECKED, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize('kind, served', [('On', False), ('ForceOff', True)])
def test_a_start_that_cannot_be_checked(client, services, error, kind, served):
    """It may be that of an unsafe system: it is refused, and says why."""
    services.driver.unchecked = error
    target = f'{PATH}/Actions/ComputerSystem.Reset'

    answer = client.post(target, json={'ResetType': kind})

    assert answer.status_code == (200 if served else error.status)
    if not served:
        assert message_id(answer) == type(error).__name__
    assert not is_locked(services)


def test_reads_of_other_definitions_do_not_wait(tmp_path):
    """Where the driver shares no definitions, reads never wait."""
    app = flask.Flask('stock')
    services = Services(tmp_path / 'state', Driver())
    app.add_url_rule(
        '/redfish/v1/Systems/<identity>',
        internals.SYSTEM,
        lambda identity: {'@odata.id': PATH},
    )
    hooks.install(app, services)

    with services.locks.system(SYSTEM.uuid, 0):
        assert app.test_client().get(PATH).status_code == 200


def test_an_update_locks_its_targets(app, client, services):
    """An update has the systems that its body names."""
    app.view = lambda: is_locked(services)

    assert client.post(UPDATE, json={'Targets': [PATH]}).json['Seen'] is True
    assert client.post(UPDATE, json={'Targets': []}).json['Seen'] is False


def test_an_unsettled_system_is_not_changed(client, services):
    """A change is refused until an interrupted operation is recovered."""
    task = services.interrupted()

    refused = client.patch(PATH, json={})

    assert (refused.status_code, message_id(refused)) == (
        503,
        'SystemUnsettled',
    )
    assert not is_locked(services)
    assert client.get(PATH).status_code == 200
    services.tasks.ends.end(task, 'Completed', {})
    assert client.patch(PATH, json={}).status_code == 200


def test_an_unknown_system_is_left_to_the_emulator(client):
    """What does not exist is answered by the emulator."""
    answered = client.patch('/redfish/v1/Systems/other', json={})

    assert answered.status_code == 200


@pytest.mark.parametrize(
    'method, working, started, status',
    [
        ('PATCH', True, True, 503),
        ('PATCH', True, False, 200),
        ('PATCH', False, True, 200),
        ('GET', True, True, 200),
    ],
)
def test_hypervisor_out_of_our_reach(
    client, services, method, working, started, status
):
    """Without it a change is refused while something is under way."""
    services.driver.error = exceptions.HypervisorUnavailable('gone')
    services.may_start = started
    if working:
        services.submitted()

    assert client.open(PATH, method=method).status_code == status


@pytest.mark.parametrize('started, status', [(True, 503), (False, 200)])
def test_state_out_of_reach(client, services, started, status):
    """Without locks nothing is changed, but before anything has started."""
    services.may_start = started
    shutil.rmtree(services.folder)

    assert client.patch(PATH, json={}).status_code == status


# Handles and media ---------------------------------------------------------


def handles_of(app, count=1):
    app.systems._cache = {'_get_domain': dict.fromkeys(range(count))}
    return lambda: internals.count_handles(app.systems)


def test_handles_are_dropped_after_a_loss(app, client, services):
    """After a restart of the hypervisor its domains are looked up anew."""
    kept = handles_of(app)
    client.get(PATH)
    assert kept() == 1

    services.driver.losses += 1
    client.get(PATH)
    assert kept() == 0

    handles_of(app)
    client.get(PATH)
    assert kept() == 1


def test_there_is_a_limit_of_handles(app, client):
    """Of a few domains the handles are kept, of many they are not."""
    kept = handles_of(app, 64)
    client.get(PATH)
    assert kept() == 64

    handles_of(app, 65)
    client.get(PATH)
    assert kept() == 0


def test_handles_of_others_are_left_alone(app):
    """A driver that shares no definitions has none that could be dead."""
    kept = handles_of(app, 100)

    handles.Handles(app).drop_stale(Driver())

    assert kept() == 100


class Media:
    """What the emulator notes of virtual media; nothing is inserted."""

    devices = ('Cd', 'Floppy')

    def __init__(self):
        self._devices = {(SYSTEM.name, 'Cd'): {'Inserted': False}}

    def eject_image(self, identity, device):
        pass


def test_notes_of_media_follow_the_drives(app, client, services):
    """What is in a drive is noted before the emulator shows it."""
    app.vmedia = Media()
    services.driver.media = {'Cd': '/pool/boot.iso'}
    path = MEDIA.replace(SYSTEM.uuid, SYSTEM.name)

    assert client.get(path).status_code == 200

    note = internals.media_note(app, SYSTEM.uuid, 'Cd')
    assert internals.noted_file(note, SYSTEM.uuid) == 'boot.iso'
    assert not internals.media_note(app, SYSTEM.name, 'Cd')


def test_notes_of_media_stay_while_an_operation_runs(app, client, services):
    """While a drive may be about to change, its note is left alone."""
    app.vmedia = Media()
    services.driver.media = {'Cd': '/pool/boot.iso'}
    path = MEDIA.replace(SYSTEM.uuid, SYSTEM.name)

    with services.locks.system(SYSTEM.uuid, 0):
        assert client.get(path).status_code == 200

    assert not internals.media_note(app, SYSTEM.uuid, 'Cd')['Inserted']


@pytest.mark.parametrize('path', ['Systems', 'Managers'])
def test_what_the_driver_has_for_itself_is_not_listed(client, path):
    """Who looks for systems finds no tool of a delete among them."""
    body = client.get(f'/redfish/v1/{path}').json

    assert [m['@odata.id'] for m in body['Members']] == ['/a', '/c']
    assert body['Members@odata.count'] == 2
