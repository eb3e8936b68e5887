# SPDX-License-Identifier: Apache-2.0
"""
Backups that are found in the repository.

Whoever can write there may have written anything.
"""

import json

import pytest
import requests

from hawkfish_plugin.drivers import backup_manifest, contract
from hawkfish_plugin.drivers.backups import Described
from hawkfish_plugin.drivers.behaviour import Behaviour
from hawkfish_plugin.drivers.contract import System
from tests.served import message_ids
from tests.unit.test_backups import act, begin, delete, listed, made
from tests.waiting import wait_for

TOKEN, BEGIN = 'feedc0ffee12', 'fake-backup-feedc0ffee12'
OTHER = System('1f0a4b6e-7a51-4c55-9b1c-0d3c2b7ffee1', 'elsewhere')


@pytest.fixture(autouse=True)
def _repository(emulator):
    """Each test has a repository, in which none leaves anything."""
    conf = emulator.services.conf
    conf.set_override('repository', 'store', 'backup')
    yield
    conf.clear_override('repository', 'backup')
    emulator.services._work.adoption._refused.clear()
    emulator.driver.behaviour = Behaviour()
    emulator.wait_idle()
    table = emulator.services._foundations.backup_table
    for one in table.all():
        emulator.driver.remove_backup(one.made)
        table.forget(one.id)
    for name in emulator.driver.backup_files():
        emulator.driver.put_backup_file(name, None)
    assert not emulator.driver.backup_files()


def lose_the_list(emulator):
    """As a state database that is lost."""
    table = emulator.services._foundations.backup_table
    for one in table.all():
        table.forget(one.id)


def manifest_of(emulator, token=TOKEN, **changed):
    """The manifest of a backup that was made, as JSON, with changes."""
    made(emulator)
    lose_the_list(emulator)
    (found,) = emulator.driver.stored_backups('store')
    (name,) = (n for n in emulator.driver.backup_files() if '.json' in n)
    text = emulator.driver.backup_files()[name].decode()
    emulator.driver.put_backup_file(name, None)
    found = json.loads(text.replace(found, token))
    for path, value in changed.items():
        *parents, last = path.split('__')
        place = found
        for parent in parents:
            place = place[int(parent) if parent.isdigit() else parent]
        place[last] = value
    return found


def put(emulator, manifest, token=TOKEN):
    emulator.driver.put_backup_file(
        f'fake-backup-{token}.json', json.dumps(manifest).encode()
    )


def test_a_lost_list_is_found_again(emulator):
    """All that was said of each; and the next one stands on the last."""
    made(emulator, Description='words')
    made(emulator)
    before = listed(emulator)
    lose_the_list(emulator)

    emulator.services._work.adoption.adopt()

    after = listed(emulator)
    for key in before[0].keys() - {'@odata.id', '@odata.etag', 'Id', 'Links'}:
        if key not in ('Actions', 'CreatedTime'):
            assert [a[key] for a in after] == [b[key] for b in before], key
    assert after[1]['Links']['Parent']['@odata.id'] == after[0]['@odata.id']
    answer = emulator.wait(act(emulator, after[1], 'Verify'))
    assert answer.status_code == 200, answer.text
    last = made(emulator)
    assert last['Links']['Parent']['@odata.id'] == after[1]['@odata.id']


def test_it_is_found_by_itself(emulator):
    """Within a moment of the start."""
    made(emulator)
    lose_the_list(emulator)
    emulator.services._work.adoption._next = 0.0

    wait_for(lambda: listed(emulator), 'the backup')


def test_what_is_known_is_not_adopted(emulator):
    """Nor what is being made, or deleted, at this moment."""
    first = made(emulator)
    with emulator.slow():
        pending = begin(emulator)
        wait_for(
            lambda: len(emulator.driver.stored_backups('store')) == 2,
            'the files',
        )
        emulator.services._work.adoption.adopt()
        during = len(listed(emulator))
    answer = emulator.wait(pending)
    emulator.services._work.adoption.adopt()

    assert answer.status_code == 201, answer.text
    assert during == 1
    assert len(listed(emulator)) == 2
    emulator.wait(delete(emulator, answer.json()))
    emulator.services._work.adoption.adopt()
    assert [one['Id'] for one in listed(emulator)] == [first['Id']]


def test_backups_of_another_host(emulator):
    """They are listed and can be restored, and go when they go there."""
    put(
        emulator,
        manifest_of(emulator, UUID=OTHER.uuid, System=OTHER.name, Created=1),
    )
    conf = emulator.services.conf
    url = (
        f'{emulator.url}/redfish/v1/Systems/{OTHER.name}/Oem/HawkFish/Backups'
    )

    emulator.services._work.adoption.adopt()

    (found,) = requests.get(url + '?$expand=.', timeout=60).json()['Members']
    # No limit of this service deletes what is another one's.
    conf.set_override('max_backup_days', 1, 'backup')
    try:
        emulator.services._work.backing_up._retain(OTHER)
    finally:
        conf.clear_override('max_backup_days', 'backup')
    emulator.wait_idle()
    assert requests.get(emulator.url + found['@odata.id'], timeout=60).ok
    # Without the file system nothing is known of them.
    (name,) = (n for n in emulator.driver.backup_files() if '.json' in n)
    kept = emulator.driver.backup_files()[name]
    emulator.driver.put_backup_file(name, None)
    emulator.services._work.adoption.adopt()
    assert requests.get(emulator.url + found['@odata.id'], timeout=60).ok
    # The other host has made another one, and deleted this.
    other = 'feedc0ffee13'
    emulator.driver.put_backup_file(
        f'fake-backup-{other}.json',
        kept.replace(TOKEN.encode(), other.encode()),
    )
    emulator.services._work.adoption.adopt()
    gone = requests.get(emulator.url + found['@odata.id'], timeout=60)
    assert message_ids(gone) == ['ResourceMissingAtURI']


def stands_on(emulator, backup):
    """Another host has made TOKEN on *backup*, and nobody here knows."""
    parents = emulator.services._foundations.backup_table.all()
    (parent,) = (p.made.token for p in parents if str(p.id) == backup['Id'])
    names = emulator.driver.backup_files()
    text = names[f'fake-backup-{parent}.json'].decode()
    manifest = json.loads(text.replace(parent, TOKEN))
    manifest['Backup']['parent'] = parent
    put(emulator, manifest)


def test_what_another_host_has_made_more_on(emulator):
    """It is not deleted, though nothing that is listed here stands on it."""
    backup = made(emulator)
    stands_on(emulator, backup)

    refused = delete(emulator, backup)

    assert message_ids(refused) == ['BackupReferenced']
    assert TOKEN in refused.text
    # What has gone there is no obstacle any more.
    emulator.driver.put_backup_file(f'{BEGIN}.json', None)
    assert emulator.wait(delete(emulator, backup)).status_code == 200


def test_what_another_host_makes_more_on_meanwhile(emulator):
    """The task finds it, leaves all of them, and they can be used again."""
    first, second = made(emulator), made(emulator, BackupType='Full')
    table = emulator.services._foundations.backup_table
    with emulator.services.locks.system(emulator.system, 10):
        pending = delete(emulator, second)
        stands_on(emulator, second)
    answer = emulator.wait(pending)

    assert message_ids(answer) == ['BackupReferenced']
    assert [one['Id'] for one in listed(emulator)] == [
        first['Id'],
        second['Id'],
    ]
    assert not any(one.deleting for one in table.all())
    verified = emulator.wait(act(emulator, second, 'Verify'))
    assert verified.status_code == 200, verified.text


def test_what_is_not_known_to_stand_elsewhere(emulator):
    """Nothing is deleted as long as a manifest cannot be read."""
    backup = made(emulator)
    emulator.driver.put_backup_file(f'{BEGIN}.json', b'{')

    refused = delete(emulator, backup)

    assert message_ids(refused) == ['BackupDamaged']
    assert len(listed(emulator)) == 1


def test_the_retention_of_a_system_that_has_moved(emulator):
    """Also what was made here is the other host's to delete."""
    made(emulator)
    made(emulator, BackupType='Full')
    conf = emulator.services.conf
    systems = emulator.driver._systems()
    kept = systems._systems.pop(emulator.system)
    name = systems._by_name.pop('fake')
    conf.set_override('max_backups', 1, 'backup')
    try:
        emulator.services._work.backing_up._retain(
            System(emulator.system, 'fake')
        )
        emulator.wait_idle()
    finally:
        conf.clear_override('max_backups', 'backup')
        systems._systems[emulator.system] = kept
        systems._by_name['fake'] = name

    assert len(listed(emulator)) == 2


@pytest.mark.parametrize(
    'path, value',
    [
        ('Format', 'HawkFishBundle'),
        ('Version', 2),
        ('Version', '1'),
        ('Version', True),
        ('System', '../x'),
        ('System', None),
        ('UUID', 'x'),
        ('UUID', 7),
        ('Created', 'now'),
        ('Created', float('nan')),
        ('Created', 10**300),
        ('Description', ['x']),
        ('Description', 'x' * 5000),
        ('Backup', None),
        ('Backup', {}),
        ('Backup__token', 'feedc0ffee13'),
        ('Backup__token', '../../../../'),
        ('Backup__parent', TOKEN),
        ('Backup__parent', 'feedc0ffee13'),
        ('Backup__parent', 13),
        ('Backup__power_state', 'Up'),
        ('Backup__power_state', []),
        ('Backup__quiesce', 'Maybe'),
        ('Backup__hypervisor', ['x']),
        ('Backup__hypervisor', {'qemu': 7}),
        ('Backup__left_out', [{'what': 'x', 'reason': 7}]),
        ('Backup__members', []),
        ('Backup__members', {}),
        ('Backup__members__0__role', 'Memory'),
        ('Backup__members__1__name', '/etc/passwd'),
        ('Backup__members__1__name', f'{BEGIN}-../../etc/passwd'),
        ('Backup__members__1__name', 'fake-backup-feedc0ffee13-vda.raw'),
        ('Backup__members__1__name', f'{BEGIN}0-vda.raw'),
        ('Backup__members__1__name', 7),
        ('Backup__members__1__size', -1),
        ('Backup__members__1__size', 2**70),
        ('Backup__members__1__sha256', 'x'),
        ('Backup__members__1__target', '../x'),
        ('Backup__members__1__capacity', 0),
    ],
)
def test_a_hostile_manifest_is_refused(emulator, caplog, path, value):
    """Nothing of it is listed, and the log says why, once."""
    put(emulator, manifest_of(emulator, **{path: value}))

    for _ in range(2):
        emulator.services._work.adoption.adopt()

    assert not emulator.services._foundations.backup_table.all()
    told = [r for r in caplog.messages if f'The backup {TOKEN} ' in r]
    assert len(told) == 1


@pytest.mark.parametrize('size', [0, 1, 200, -1])
def test_a_truncated_manifest_is_refused(emulator, size):
    """At the next look it may be whole: somebody was writing it."""
    data = json.dumps(manifest_of(emulator)).encode()
    name = f'{BEGIN}.json'
    emulator.driver.put_backup_file(name, data[:size])
    emulator.services._work.adoption.adopt()
    before = emulator.services._foundations.backup_table.all()
    emulator.driver.put_backup_file(name, data)

    emulator.services._work.adoption.adopt()

    assert not before
    assert len(emulator.services._foundations.backup_table.all()) == 1


def test_backups_that_stand_on_each_other(emulator):
    """They lead nowhere, and are refused."""
    other = 'feedc0ffee13'
    first = manifest_of(emulator, Backup__parent=other)
    second = manifest_of(emulator, other, Backup__parent=TOKEN)
    put(emulator, first)
    put(emulator, second, other)

    emulator.services._work.adoption.adopt()

    assert not emulator.services._foundations.backup_table.all()


def test_it_says_what_it_was_given():
    """A manifest is read as it was written, from any pool."""
    token = 'a' * 12
    names = [f'x-{token}.xml', f'x-{token}-vda.qcow2']
    described = Described(
        OTHER,
        backup_manifest.Backup(
            token,
            'one',
            'b' * 12,
            '',
            contract.ON,
            contract.QUIESCED,
            [
                backup_manifest.Member(names[0], 'Domain', 1, '0' * 64),
                backup_manifest.Member(
                    names[1], 'Disk', 2, '1' * 64, 'vda', 'qcow2', 3
                ),
            ],
        ),
        'words',
        12.5,
    )

    data = backup_manifest.render(described)

    found = backup_manifest.read(data, token, 'two', f'x-{token}')
    assert found.made.pool == 'two'
    assert found.made.members == described.made.members
    assert (found.system, found.description) == (OTHER, 'words')
    with pytest.raises(backup_manifest.Refused, match='long'):
        backup_manifest.read(data + b' ' * 2**20, token, 'two', f'x-{token}')
