# SPDX-License-Identifier: Apache-2.0
"""The audit log: who has changed what, and what came of it."""

import json
import sqlite3

import pytest
import requests
import werkzeug.test
from werkzeug.middleware import proxy_fix

from hawkfish_plugin import audit, bounds, conf, db, exceptions
from hawkfish_plugin.audit import Actor, AuditLog, Entry, View, Work
from hawkfish_plugin.drivers.contract import System
from tests.served import FAKE_UUID, user_entry
from tests.unit.conftest import NODES

SERVICE = '/redfish/v1/Managers/HawkFish/LogServices/Audit'
SYSTEM = f'/redfish/v1/Systems/{FAKE_UUID}'
OF_SYSTEM = f'{SYSTEM}/LogServices/Audit'
SNAPSHOTS = f'{SYSTEM}/Oem/HawkFish/Snapshots'
RESET = f'{SYSTEM}/Actions/ComputerSystem.Reset'
SESSIONS = '/redfish/v1/SessionService/Sessions'

SECRET = 'hunter-2-hunter'
FIRST, SECOND = System('uuid-1', 'one'), System('uuid-2', 'two')


class Log:
    """The log of an emulator, as an administrator reads it."""

    def __init__(self, emulator, auth=None):
        self._url, self._auth = emulator.url, auth

    def send(self, method, path, auth=None, **kwargs):
        return requests.request(
            method,
            self._url + path,
            auth=auth or self._auth,
            timeout=60,
            **kwargs,
        )

    def post(self, path, **kwargs):
        return self.send('POST', path, **kwargs)

    def get(self, path, **query):
        return self.send('GET', path, params=query)

    def entries(self, of=SERVICE, **query):
        """The newest first."""
        answer = self.get(f'{of}/Entries', **query)
        assert answer.status_code == 200, answer.text
        return answer.json()['Members']

    def newest(self, of=SERVICE):
        return self.entries(of, **{'$top': 1})[0]

    def clear(self, of=SERVICE):
        answer = self.post(f'{of}/Actions/LogService.ClearLog', json={})
        assert answer.status_code == 204, answer.text


def of_ours(entry):
    return entry['Oem']['HawkFish']


@pytest.fixture
def log(emulator):
    """The log of an emulator that asks nobody for a password."""
    found = Log(emulator)
    found.clear()
    return found


@pytest.fixture
def guarded(emulator, tmp_path):
    """The log of an emulator with the users admin and other."""
    users = tmp_path / 'users'
    users.write_text(user_entry('admin', SECRET) + user_entry('other', 'hush'))
    app, before = emulator.app, emulator.app.wsgi_app
    app.configure(extra_config={'SUSHY_EMULATOR_AUTH_FILE': str(users)})
    found = Log(emulator, ('admin', SECRET))
    found.clear()
    yield found
    app.wsgi_app = before
    del app.config['SUSHY_EMULATOR_AUTH_FILE']


# What is noted ------------------------------------------------------------


def test_a_change_of_the_emulators_own(guarded):
    """Who, what, to which system, from where, with what outcome."""
    answer = guarded.post(RESET, json={'ResetType': 'On'})
    entry = guarded.newest()

    assert answer.status_code == 204
    assert entry['Username'] == 'admin'
    assert entry['OriginAddress'] == 'http://127.0.0.1'
    assert entry['OriginatorType'] == 'Client'
    assert entry['Severity'] == 'OK'
    assert entry['Message'] == f'POST {RESET} was answered with 204.'
    assert of_ours(entry)['ResetType'] == 'On'
    assert of_ours(entry)['SystemNames'] == ['fake']
    assert of_ours(entry)['SystemUUIDs'] == [FAKE_UUID]
    assert guarded.newest(OF_SYSTEM)['Id'] == entry['Id']


@pytest.mark.parametrize(
    'method, path, body',
    [
        ('PATCH', SYSTEM, {'Boot': {'BootSourceOverrideTarget': 'Cd'}}),
        ('PATCH', SYSTEM, {'Boot': 3}),
        ('POST', RESET, {'ResetType': 'Sideways'}),
        ('PUT', SYSTEM, {}),
        (
            'POST',
            f'{SYSTEM}/VirtualMedia/Cd/Actions/VirtualMedia.EjectMedia',
            {},
        ),
        ('PATCH', f'{SYSTEM}/Oem/HawkFish/SnapshotPolicy', {}),
        ('DELETE', f'{SNAPSHOTS}/none', None),
        ('POST', '/redfish/v1/EventService/Subscriptions', {}),
    ],
)
def test_what_may_change_something(log, method, path, body):
    """All of it, on the emulator's routes and ours, refused or not."""
    answer = log.send(method, path, json=body)
    told = of_ours(log.newest())

    assert told['HttpOperation'] == method
    assert told['TargetUri'] == path
    assert told['HttpStatus'] == answer.status_code


def test_reads_are_not_noted(log):
    """Nor is where a client has to ask again."""
    log.get(SYSTEM)
    log.send('HEAD', SYSTEM)
    log.get('/redfish/v1/Systems/none')
    log.send('GET', SNAPSHOTS, headers={'Accept': 'text/html'})
    log.post(
        '/redfish/v1/Systems/fake/Actions/ComputerSystem.Reset',
        json={'ResetType': 'On'},
        allow_redirects=False,
    )

    (cleared,) = log.entries()
    assert of_ours(cleared)['TargetUri'].endswith('LogService.ClearLog')


def test_a_refusal_says_why(log, emulator):
    """By its MessageId alone, as the text may quote what was sent."""
    emulator.created(Name='twice')
    assert emulator.create(Name='twice').status_code == 409
    entry = log.newest()

    assert entry['Severity'] == 'Warning'
    assert of_ours(entry)['Reason'] == 'Base.1.22.ResourceAlreadyExists'
    assert emulator.create(Name=[SECRET]).status_code == 400
    assert SECRET not in json.dumps(log.entries())


# Tasks --------------------------------------------------------------------


def test_the_entry_tells_what_became_of_the_task(log, emulator):
    """One entry for a request and its task, whichever ends first."""
    with emulator.slow():
        accepted = emulator.create(Name='base')
        entry = log.newest()
        assert of_ours(entry)['TaskState'] == 'New'
        assert of_ours(entry)['HttpStatus'] == 202
        assert 'Modified' not in entry
    emulator.wait(accepted)
    after = log.newest()

    assert after['Id'] == entry['Id']
    assert of_ours(after)['TaskState'] == 'Completed'
    assert of_ours(after)['Operation'] == 'create'
    assert of_ours(after)['Snapshot'] == 'base'
    assert of_ours(after)['Task'] == (
        f'/redfish/v1/TaskService/Tasks/{emulator.task(accepted).id}'
    )
    assert after['Modified']
    assert after['MessageId'] == 'HawkFish.1.0.RequestTaskCompleted'

    answer = emulator.create(Name='quick')
    waited = log.post(
        SNAPSHOTS, json={'Name': 'awaited'}, headers={'Prefer': 'wait=20'}
    )
    emulator.wait(answer)
    awaited, quick = log.entries(**{'$top': 2})
    assert waited.status_code == of_ours(awaited)['HttpStatus'] == 201
    assert of_ours(awaited)['TaskState'] == 'Completed'
    assert of_ours(quick)['TaskState'] == 'Completed'


def test_a_task_that_fails_or_is_cancelled(log, emulator):
    """The entry of its request says so, and why; who cancels has another."""
    emulator.behaviour.fail_at = {
        'create:capture': exceptions.OperationFailed('create', 'on purpose')
    }
    failed = emulator.wait(emulator.create(Name='never'))
    entry = log.newest()

    assert failed.status_code >= 400
    assert entry['Severity'] == 'Critical'
    assert of_ours(entry)['TaskState'] == 'Exception'
    assert of_ours(entry)['Reason']
    emulator.behaviour.fail_at = {}
    with emulator.slow():
        accepted = emulator.create(Name='stopped')
        emulator.wait_running(accepted)
        cancelled = log.send('DELETE', accepted.headers['Location'])
    emulator.watch(accepted.headers['Location'])
    by_whom, begun = log.entries(**{'$top': 2})

    assert of_ours(begun)['TaskState'] == 'Cancelled'
    assert begun['Severity'] == 'Warning'
    assert of_ours(by_whom)['HttpStatus'] == cancelled.status_code
    assert of_ours(by_whom)['Task'] is None
    assert of_ours(by_whom)['SystemNames'] == ['fake']


def test_what_the_service_does_itself(log, emulator, policy):
    """A snapshot that the policy deletes is in the log, under no user."""
    requests.patch(policy, json={'MaxSnapshots': 1}, timeout=60)
    for name in ('old', 'new'):
        emulator.created(Name=name)
        emulator.wait_second()
    emulator.wait_idle()
    entry = next(
        e
        for e in log.entries(OF_SYSTEM)
        if of_ours(e)['Operation'] == 'delete'
    )

    assert entry['OriginatorType'] == 'Internal'
    assert 'Username' not in entry
    assert of_ours(entry)['Snapshot'] == 'old'
    assert of_ours(entry)['HttpOperation'] is None


def test_a_group_is_in_the_logs_of_its_systems(log, emulator):
    """A request for several systems is one entry, which each log has."""
    links = [
        {'@odata.id': f'/redfish/v1/Systems/{NODES[name]}'}
        for name in ('node-0', 'node-1')
    ]
    made = log.post(
        '/redfish/v1/AggregationService/Aggregates',
        json={'Name': 'lab', 'Elements': links},
    )
    uri = made.headers['Location']
    emulator.wait(
        log.post(f'{uri}/Oem/HawkFish/Snapshots', json={'Name': 'both'})
    )
    logs = [
        log.entries(f'/redfish/v1/Systems/{NODES[name]}/LogServices/Audit')
        for name in ('node-0', 'node-1')
    ]

    for entries in logs:
        assert [e['Id'] for e in entries] == [e['Id'] for e in logs[0]]
        assert of_ours(entries[0])['Operation'] == 'group-create'
        assert of_ours(entries[0])['SystemNames'] == ['node-0', 'node-1']
        assert of_ours(entries[1])['HttpStatus'] == 201


# Who ----------------------------------------------------------------------


def test_who_was_not_let_in(guarded):
    """A refused login is noted; a name only where there is such a user."""
    for auth, user in (
        (('admin', 'wrong'), 'admin'),
        (('nobody', 'wrong'), None),
        ((SECRET, SECRET), None),
    ):
        assert guarded.post(RESET, auth=auth, json={}).status_code == 401
        assert guarded.newest().get('Username') == user
        body = {'UserName': auth[0], 'Password': auth[1]}
        refused = guarded.post(SESSIONS, json=body)
        assert refused.status_code == 401
        entry = guarded.newest()
        assert of_ours(entry)['HttpStatus'] == 401
        assert entry.get('Username') == user
    assert SECRET not in json.dumps(guarded.entries())


def test_a_session_is_its_users(guarded, emulator):
    """From login to logout; what a client says of itself is not believed."""
    login = requests.post(
        emulator.url + SESSIONS,
        json={'UserName': 'other', 'Password': 'hush'},
        headers={'X-User': 'admin'},
        timeout=60,
    )
    assert guarded.newest()['Username'] == 'other'
    for headers in ({}, {'X-User': 'admin', 'X-User-Name': 'admin'}):
        requests.post(
            emulator.url + RESET,
            json={'ResetType': 'On'},
            headers={
                'X-Auth-Token': login.headers['X-Auth-Token'],
                'X-Forwarded-For': '192.0.2.1',
                **headers,
            },
            timeout=60,
        )
        entry = guarded.newest()
        assert entry['Username'] == 'other'
        assert entry['OriginAddress'] == 'http://127.0.0.1'
    refused = requests.post(
        emulator.url + SESSIONS,
        json={'UserName': 'nobody', 'Password': 'x'},
        headers={'X-User': 'admin'},
        timeout=60,
    )
    assert refused.status_code == 401
    assert 'Username' not in guarded.newest()


def test_no_secret_is_in_it(guarded, emulator):
    """Of passwords, tokens, headers, queries and URLs, nothing is noted."""
    token = requests.post(
        emulator.url + SESSIONS,
        json={'UserName': 'admin', 'Password': SECRET},
        timeout=60,
    ).headers['X-Auth-Token']
    with_secrets = {'Destination': f'https://u:{SECRET}@127.0.0.1:9/'}
    for path, body in (
        (f'{RESET}?password={SECRET}', {'ResetType': SECRET}),
        (RESET, {'ResetType': [SECRET], SECRET: 1}),
        (f'{SNAPSHOTS}?{SECRET}', {'Password': SECRET, 'Name': SECRET * 30}),
        (
            f'{SYSTEM}/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia',
            {'Image': f'http://u:{SECRET}@127.0.0.1:9/x', 'Password': SECRET},
        ),
        (
            '/redfish/v1/EventService/Subscriptions',
            {**with_secrets, 'HttpHeaders': [{'Authorization': SECRET}]},
        ),
        (
            '/redfish/v1/EventService/Subscriptions',
            {
                **with_secrets,
                'Protocol': 'Redfish',
                'HttpHeaders': [{'Authorization': SECRET}],
            },
        ),
        (f'//u:{SECRET}@127.0.0.1{RESET}', {}),
    ):
        guarded.post(
            path,
            json=body,
            headers={'X-Secret': SECRET, 'Prefer': f'wait={SECRET}'},
        )
        requests.post(
            emulator.url + path,
            json=body,
            headers={'X-Auth-Token': SECRET, 'Cookie': SECRET},
            timeout=60,
        )
    entries = guarded.entries()
    kept = [
        str(tuple(row))
        for table in ('audit', 'audit_systems', 'audit_cleared')
        for row in emulator.database.query(f'SELECT * FROM {table}')
    ]

    assert len(entries) >= 15
    for text in (json.dumps(entries), *kept):
        assert SECRET not in text
        assert token not in text


def test_hostile_paths_are_text(log):
    """What a client calls things is escaped, and cut."""
    log.post('/redfish/v1/Systems/%1B[31m%0Ared<b>/x', json={})
    told = of_ours(log.newest())
    assert told['TargetUri'] == '/redfish/v1/Systems/%1B%5B31m%0Ared%3Cb%3E/x'
    log.post('/redfish/v1/' + 'x' * 3000, json={})
    told = of_ours(log.newest())
    assert len(told['TargetUri']) == bounds.URI_CHARACTERS
    log.post('/elsewhere', json={})
    assert of_ours(log.newest())['TargetUri'] is None


# The resources ------------------------------------------------------------


def test_where_the_logs_are(log):
    """The root leads to that of the service, a system to its own."""
    root = log.get('/redfish/v1/').json()
    manager = log.get(
        root['Links']['ManagerProvidingService']['@odata.id']
    ).json()
    system = log.get(SYSTEM).json()
    for owner, audit_log in ((manager, SERVICE), (system, OF_SYSTEM)):
        logs = log.get(owner['LogServices']['@odata.id']).json()
        assert logs['Members'] == [{'@odata.id': audit_log}]
        found = log.get(audit_log).json()
        assert found['@odata.id'] == audit_log
        assert found['OverWritePolicy'] == 'WrapsWhenFull'
        keep = conf.load().audit.keep
        assert found['MaxNumberOfRecords'] == keep + bounds.STRANGERS
    assert root['Oem']['HawkFish']['AuditLog'] == {'@odata.id': SERVICE}
    assert manager['ManagerType'] == 'Service'
    # Clients that take the only manager there is would find two.
    listed = log.get('/redfish/v1/Managers').json()['Members']
    assert {'@odata.id': manager['@odata.id']} not in listed


def test_an_entry_by_itself(log, emulator):
    """It is where its @odata.id says; those of other systems are not."""
    log.post(RESET, json={'ResetType': 'On'})
    entry = log.newest(OF_SYSTEM)
    alone = log.get(entry['@odata.id'])

    assert alone.json() == entry
    elsewhere = entry['@odata.id'].replace(FAKE_UUID, NODES['node-0'])
    for uri in (elsewhere, f'{SERVICE}/Entries/0', f'{SERVICE}/Entries/x'):
        assert log.get(uri).status_code == 404
    assert log.send('DELETE', entry['@odata.id']).status_code == 405


def test_queries(log, monkeypatch):
    """$top, $skip and $filter; more than a page is linked to."""
    for kind in ('On', 'ForceOff', 'On', 'ForceOff'):
        log.post(RESET, json={'ResetType': kind})
    ids = [e['Id'] for e in log.entries()]
    uri = f'{SERVICE}/Entries'

    assert len(ids) == 5
    window = log.get(uri, **{'$skip': 1, '$top': 2}).json()
    assert [e['Id'] for e in window['Members']] == ids[1:3]
    assert window['Members@odata.count'] == 5
    wanted = "Oem/HawkFish/ResetType eq 'ForceOff'"
    assert len(log.entries(**{'$filter': wanted})) == 2
    assert log.get(uri, **{'$filter': 'nonsense'}).status_code == 400
    assert log.get(uri, **{'$top': '-1'}).status_code == 400

    monkeypatch.setattr(bounds, 'AUDIT_PAGE', 2)
    for query, count in (({}, 5), ({'$top': 3}, 3), ({'$skip': 2}, 3)):
        body, found = log.get(uri, **query).json(), []
        while body:
            assert len(body['Members']) <= 2
            found += [e['Id'] for e in body['Members']]
            following = body.get('Members@odata.nextLink')
            body = following and log.get(following).json()
        first = query.get('$skip', 0)
        assert found == ids[first : first + count]


def test_clearing(log):
    """Who has cleared the log is its first entry; a system's hides no more."""
    log.post(RESET, json={'ResetType': 'On'})
    before = log.newest()
    log.clear(OF_SYSTEM)

    (cleared,) = log.entries(OF_SYSTEM)
    assert of_ours(cleared)['TargetUri'].startswith(OF_SYSTEM)
    assert before in log.entries()
    assert log.get(before['@odata.id']).status_code == 200
    log.clear()
    (cleared,) = log.entries()
    assert of_ours(cleared)['TargetUri'].startswith(SERVICE)
    refused = log.post(
        f'{SERVICE}/Actions/LogService.ClearLog',
        json={'LogEntriesETag': 'x'},
    )
    assert refused.status_code == 400
    assert len(log.entries()) == 2


# Who may see it -----------------------------------------------------------


def test_a_hidden_system_is_in_no_log_of_others(log, emulator):
    """Nor can they clear it from the log of who sees all."""
    hidden, shown = NODES['node-0'], NODES['node-1']
    for uuid in (hidden, shown):
        uri = f'/redfish/v1/Systems/{uuid}/Actions/ComputerSystem.Reset'
        log.post(uri, json={'ResetType': 'On'})
    # Of no system that is known, but it names one.
    log.post(f'/redfish/v1/Systems/{hidden}/Nothing', json={})
    everything = [e['Id'] for e in log.entries()]
    emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = [shown]
    entries = log.entries()

    assert len(everything) == 4
    assert [of_ours(e)['SystemUUIDs'] for e in entries] == [[shown]]
    assert hidden not in json.dumps(entries)
    gone = next(i for i in everything if i != entries[0]['Id'])
    assert log.get(f'{SERVICE}/Entries/{gone}').status_code == 404
    uri = f'/redfish/v1/Systems/{hidden}/LogServices/Audit'
    assert log.get(f'{uri}/Entries').status_code == 404
    log.post(f'/redfish/v1/Systems/{hidden}/Nothing', json={})
    log.clear()
    assert len(log.entries()) == 1
    del emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES']
    assert {*everything} < {e['Id'] for e in log.entries()}


@pytest.mark.parametrize(
    'systems, writer, reader, is_shown',
    [
        ([FIRST], None, None, True),
        ([FIRST], None, ['uuid-1'], True),
        ([FIRST], None, ['one'], True),
        ([FIRST, SECOND], None, ['uuid-1'], False),
        ([FIRST, SECOND], ['uuid-1', 'uuid-2'], None, True),
        ([], None, None, True),
        ([], None, ['uuid-1'], False),
        ([], ['uuid-1'], ['uuid-1', 'uuid-2'], True),
        ([], ['uuid-1', 'uuid-2'], ['uuid-1'], False),
        ([], ['uuid-1'], [], False),
    ],
)
def test_who_sees_what(systems, writer, reader, is_shown):
    """Whoever may see all of its systems, or all that its writer may."""
    assert View(reader).shows(systems, writer) is is_shown


# Its bounds, and what can go wrong -----------------------------------------


@pytest.fixture
def table(tmp_path):
    """A log of three entries at most, in a database of its own."""
    options = conf.load()
    options.set_override('keep', 3, 'audit')
    return AuditLog(db.Database(tmp_path / 'fake-00000000'), options)


def noted(log, view=View(None)):  # noqa: B008
    return [(e.uri, e.is_strange) for e in log.load(log.ids(view))]


def test_the_oldest_go(table, monkeypatch):
    """And those who were not let in cannot displace the others."""
    monkeypatch.setattr(bounds, 'STRANGERS', 2)
    for number in range(5):
        table.note(Entry(Actor('u'), 'POST', f'/{number}', 204))
    for number in range(9):
        table.note(Entry(Actor(), 'POST', f'/x{number}', 401, is_strange=True))

    assert noted(table) == [
        ('/x8', True),
        ('/x7', True),
        ('/4', False),
        ('/3', False),
        ('/2', False),
    ]
    assert table.most == 5


def test_a_task_whose_request_was_never_answered(table, tmp_path):
    """It has its entry all the same, under who has asked for it."""
    payload = audit.with_actor(
        {'HttpOperation': 'POST', 'TargetUri': '/x'}, Actor('u', 'http://a')
    )
    work = Work(43, 'create', 'base', 'Completed')
    database = db.Database(tmp_path / 'fake-00000000')
    for _ in range(2):
        with database.transaction() as connection:
            audit.end_task(connection, work, '', payload, [FIRST], 3)
    (entry,) = table.load(table.ids(View(None)))

    assert (entry.actor, entry.method, entry.uri, entry.status) == (
        Actor('u', 'http://a'),
        'POST',
        '/x',
        None,
    )
    assert entry.work == work
    assert entry.systems == (FIRST,)
    assert audit.without_actor(payload) == {
        'HttpOperation': 'POST',
        'TargetUri': '/x',
    }


def test_what_others_have_cleared_is_there_for_who_sees_all(table):
    """Each goes by what he has cleared himself."""
    table.note(
        Entry(Actor(), 'POST', '/1', 204, systems=(FIRST,), allowed=['uuid-1'])
    )
    mine, all_of_it = View(['uuid-1']), View(None)
    table.clear(mine)

    assert noted(table, mine) == []
    assert noted(table, View(['uuid-1'], 'uuid-1')) == []
    assert noted(table, all_of_it) == [('/1', False)]
    table.clear(View(None, 'uuid-1'))
    assert noted(table, View(None, 'uuid-1')) == []
    assert noted(table, all_of_it) == [('/1', False)]
    table.clear(all_of_it)
    assert noted(table, all_of_it) == []


def damage(emulator):
    with sqlite3.connect(emulator.database.path) as connection:
        connection.execute('ALTER TABLE audit RENAME TO broken')
    connection.close()


def mend(emulator):
    with sqlite3.connect(emulator.database.path) as connection:
        connection.execute('ALTER TABLE broken RENAME TO audit')
    connection.close()


def test_a_damaged_log_stands_in_no_ones_way(log, emulator, caplog):
    """Requests are answered, tasks end, and the log of the process tells."""
    damage(emulator)
    try:
        answer = log.post(RESET, json={'ResetType': 'On'})
        created = emulator.wait(emulator.create(Name='all-the-same'))
        told = [r.message for r in caplog.records]
        read = log.get(f'{SERVICE}/Entries')
    finally:
        mend(emulator)

    assert answer.status_code == 204
    assert created.status_code == 201
    assert any('Not in the audit log' in t and RESET in t for t in told)
    assert any('is not in the audit log' in t for t in told)
    assert read.status_code == 503


def test_a_database_that_is_being_written_to(log, emulator, monkeypatch):
    """A request waits for no longer than it may."""
    monkeypatch.setattr(bounds, 'AUDIT_SECONDS', 0.05)
    with emulator.database.transaction():
        answer = log.post(RESET, json={'ResetType': 'On'})

    assert answer.status_code == 204
    assert len(log.entries()) == 1


def test_damaged_rows_are_read_as_far_as_they_can_be(table, tmp_path):
    """One that was damaged keeps nobody from the others."""
    for number in range(3):
        table.note(
            Entry(Actor('u'), 'POST', f'/{number}', 204, allowed=['uuid-1'])
        )
    database = db.Database(tmp_path / 'fake-00000000')
    with database.transaction() as connection:
        connection.execute(
            "UPDATE audit SET time = 'x', changed = 'y', allowed = '{' "
            'WHERE id = 2'
        )

    assert len(noted(table)) == 3
    assert len(noted(table, View(['uuid-1']))) == 2


def test_no_state_folder(tmp_path):
    """Where nothing can be written, that is said."""
    options = conf.load()
    log = AuditLog(db.Database(tmp_path / 'fake-00000000'), options)
    with sqlite3.connect(tmp_path / 'fake-00000000/hawkfish.sqlite') as held:
        held.execute('DROP TABLE audit')
    with pytest.raises(exceptions.StateUnavailable):
        log.note(Entry(Actor(), 'POST', '/x', 204))


def test_the_address_behind_a_proxy(log, emulator):
    """That of the client, where the server takes a proxy's word for it."""
    proxied = werkzeug.test.Client(proxy_fix.ProxyFix(emulator.app, x_for=1))
    for given, shown in (
        ('192.0.2.7', 'http://192.0.2.7'),
        ('203.0.113.1, 2001:db8::7', 'http://[2001:db8::7]'),
    ):
        answer = proxied.post(
            RESET, json={'ResetType': 'On'}, headers={'X-Forwarded-For': given}
        )
        assert answer.status_code == 204
        assert log.newest()['OriginAddress'] == shown
