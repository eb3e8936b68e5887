# SPDX-License-Identifier: Apache-2.0
"""``hawkfish log``, and the log of the SDK."""

import pytest
import requests

from hawkfish_plugin import bounds, client
from tests.served import FAKE_UUID
from tests.unit.commands import WIDE

RESET = f'/redfish/v1/Systems/{FAKE_UUID}/Actions/ComputerSystem.Reset'


def reset(emulator, kind):
    requests.post(emulator.url + RESET, json={'ResetType': kind}, timeout=60)


@pytest.fixture
def log(emulator):
    """The log of the SDK; that it was cleared is all there is in it."""
    found = client.HawkFish(emulator.url).audit_log()
    found.clear()
    return found


def test_a_line_for_each_change(emulator, hawkfish, data, log):
    """The newest last, of all systems or of one, as many as wanted."""
    emulator.created(Name='base')
    assert emulator.create(Name='base').status_code == 409
    reset(emulator, 'On')
    rows = data('log', 'list')

    assert [row['Request'] for row in rows] == [
        'POST LogService.ClearLog',
        'create',
        'POST Snapshots',
        'reset On',
    ]
    assert [row['Outcome'] for row in rows] == [
        '204',
        'Completed',
        '409 ResourceAlreadyExists',
        '204',
    ]
    assert rows[1]['Snapshot'] == 'base'
    assert rows[1]['Systems'] == ['fake']
    assert rows[1]['Address'] == '127.0.0.1'
    assert rows[2]['Severity'] == 'Warning'
    assert data('log', 'list', 'fake') == rows[1:]
    assert data('log', 'list', '--limit', '2') == rows[2:]
    refused = ('--filter', "Severity eq 'Warning'")
    assert data('log', 'list', '--all', *refused) == rows[2:3]
    status, out, err = hawkfish('log', 'list')
    assert (status, err) == (0, '')
    cells = [
        [cell.strip() for cell in line.split('|')]
        for line in out.splitlines()
        if '|' in line
    ]
    assert [row[3:5] for row in cells if row[3]] == [
        ['Request', 'Systems'],
        ['clear log', ''],
        ['create base', 'fake'],
        ['create snapshot', 'fake'],
        ['reset On', 'fake'],
    ]
    assert max(map(len, out.splitlines())) <= WIDE


def test_clearing(emulator, hawkfish, data, log):
    """It asks where that is wanted; a system's hides what is older."""
    reset(emulator, 'On')
    status, _, err = hawkfish('log', 'clear', '-i')
    assert status == 1
    assert 'use --yes to confirm' in err
    assert len(data('log', 'list')) == 2

    status, _, err = hawkfish('log', 'clear', 'fake')
    assert (status, err) == (0, 'Cleared the audit log of fake.\n')
    (row,) = data('log', 'list', 'fake')
    assert row['Request'] == 'POST LogService.ClearLog'
    assert len(data('log', 'list')) == 3
    assert hawkfish('log', 'clear')[0] == 0
    assert len(data('log', 'list')) == 1


@pytest.mark.parametrize('text', ['0', '-1', 'x', '1.5', '²', ''])
def test_wrong_limits(hawkfish, text):
    """A limit is a whole number above 0."""
    assert hawkfish('log', 'list', f'--limit={text}')[0] == 2


def test_no_such_system(hawkfish):
    """Neither has a log."""
    for words in (('list', 'none'), ('clear', 'none')):
        status, out, err = hawkfish('log', *words)
        assert (status, out) == (1, '')
        assert err


def test_the_sdk(emulator, log, monkeypatch):
    """Pages are read as they are needed; an entry knows what was done."""
    for kind in ('On', 'ForceOff', 'On'):
        reset(emulator, kind)
    monkeypatch.setattr(bounds, 'AUDIT_PAGE', 2)
    entries = list(log)

    assert [e.reset_type for e in entries] == ['On', 'ForceOff', 'On', None]
    assert len({e.identity for e in entries}) == 4
    first = entries[0]
    assert (first.method, first.target, first.status) == ('POST', RESET, 204)
    assert first.systems == ['fake']
    assert first.system_uuids == [FAKE_UUID]
    assert first.address == 'http://127.0.0.1'
    assert first.user is None
    assert not first.by_service
    assert first.modified is None
    assert first.task is None
    assert f'{first}' == f'<LogEntry {first.identity}: {first.message}>'
    assert [e.identity for e in log.entries(3)] == [
        e.identity for e in entries[:3]
    ]
    wanted = "Oem/HawkFish/ResetType eq 'On'"
    assert len(list(log.entries(wanted=wanted))) == 2
