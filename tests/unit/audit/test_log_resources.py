# SPDX-License-Identifier: Apache-2.0
"""The audit log in Redfish."""

from hawkfish_plugin import bounds, conf
from tests.served import FAKE_UUID
from tests.unit.audit.logs import OF_SYSTEM, RESET, SERVICE, SYSTEM, of_ours
from tests.unit.conftest import NODES


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
