# SPDX-License-Identifier: Apache-2.0
"""
A whole lab as one bundle, out and back in.

Long, as each thing that can be wrong in such a bundle has its test.
"""

import copy
import itertools

import pexpect
import pytest
import requests

from hawkfish_plugin import client, exceptions
from hawkfish_plugin.cli import app
from hawkfish_plugin.drivers.behaviour import Behaviour
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.exports import Owner
from tests import tars
from tests.served import message_ids
from tests.tars import packed, unpacked
from tests.unit.commands import PROGRAM
from tests.unit.conftest import NODES
from tests.unit.group_snapshots.labs import TRIO


@pytest.fixture(autouse=True)
def _nothing_left(emulator):
    """Each test ends with the systems that there were, and no file."""
    before = set(emulator.driver.power_states())
    yield
    emulator.driver.behaviour = Behaviour()
    emulator.wait_idle()
    for group in emulator.services.group_table.all():
        for export in emulator.services.exports.list(Owner(group=group.name)):
            emulator.services.exports.delete(export)
        emulator.services.group_table.delete(group.name)
    assert not emulator.driver.staged()
    assert not emulator.services.receiving._uploads.all()
    for system in set(emulator.driver.power_states()) - before:
        internals.remove_fake_system(emulator.app.systems, system.uuid)
        emulator.driver.remove_files(list(emulator.driver.received()))
    assert not emulator.driver.received()


def begin(lab, name='a', **body):
    url = lab.collection(f'/{name}/Actions/HawkFishGroupSnapshot.Export')
    return requests.post(url, json=body, timeout=60)


def exported(lab, **body):
    answer = lab.emulator.wait(begin(lab, **body))
    assert answer.status_code == 201, answer.text
    assert answer.headers['Location'] == answer.json()['@odata.id']
    return answer.json()


def fetch(lab, export, **headers):
    url = lab.emulator.url + export['DataURI']
    return requests.get(url, headers=headers, timeout=60)


def listed(lab):
    group = requests.get(lab.url(f'/{lab.name}'), timeout=60).json()
    link = group['Oem']['HawkFish']['Exports']['@odata.id']
    url = f'{lab.emulator.url}{link}?$expand=.'
    return requests.get(url, timeout=60).json()['Members']


@pytest.fixture
def bundle(lab):
    """An export of the lab, and the bytes of its bundle."""
    lab.made(Name='a')
    export = exported(lab)
    return export, fetch(lab, export).content


# Out -----------------------------------------------------------------------


def test_a_lab_is_one_bundle(lab, bundle):
    """Its definitions come first; all is as the manifest says."""
    export, content = bundle

    manifest, files = unpacked(content)

    assert manifest['Version'] == 3
    assert manifest['Group'] == 'lab'
    assert [one['Name'] for one in manifest['Systems']] == [*TRIO]
    assert {one['UUID'] for one in manifest['Systems']} == {
        NODES[name] for name in TRIO
    }
    members = [m for one in manifest['Systems'] for m in one['Members']]
    assert {m['Name'] for m in members} | {tars.CHECKSUMS} == {*files}
    tars.check(members, files)
    assert [name.rpartition('/')[2] for name in list(files)[:3]] == (
        ['domain.xml'] * 3
    )
    assert len({data for name, data in files.items() if 'vda' in name}) == 3
    assert export['SizeBytes'] == len(content)
    assert export['Links'] == {
        'Aggregate': {'@odata.id': lab.url('/lab')[len(lab.emulator.url) :]}
    }
    assert listed(lab) == [export]


def test_the_ranges_of_a_lab_make_the_bundle(lab, bundle):
    """Wherever a download broke, it can go on."""
    export, content = bundle
    begins = [*range(0, len(content), 90_001), len(content)]

    parts = [
        fetch(lab, export, Range=f'bytes={begin}-{end - 1}').content
        for begin, end in itertools.pairwise(begins)
    ]

    assert b''.join(parts) == content


def test_a_delete_removes_the_files_of_all(lab, bundle):
    """And the export is gone."""
    export, _ = bundle
    assert len(lab.emulator.driver.staged()) == len(TRIO)

    answer = requests.delete(lab.emulator.url + export['@odata.id'])

    assert answer.status_code == 204
    assert not lab.emulator.driver.staged()
    assert not listed(lab)


def test_an_incomplete_snapshot_is_not_exported(lab):
    """The systems that lack it are named."""
    lab.made(Name='a')
    deleted = requests.delete(f'{lab.of("node-1")}/a', timeout=60)
    lab.emulator.wait(deleted)

    answer = begin(lab)

    assert answer.status_code == 409
    assert message_ids(answer) == ['GroupSnapshotIncomplete']
    assert 'node-1' in answer.text


@pytest.mark.parametrize('step', ['prepare', 'stage', 'finish'])
def test_one_that_fails_leaves_no_files(lab, step):
    """Neither its own nor those of the others; it is named."""
    lab.made(Name='a')
    lab.fail(f'export:{step}', 'node-1')

    answer = lab.emulator.wait(begin(lab))

    assert answer.status_code == 409
    assert message_ids(answer) == ['GroupMemberFailed']
    assert 'node-1' in answer.text
    assert not listed(lab)
    assert not lab.emulator.driver.staged()


def test_a_cancelled_export_leaves_nothing(lab):
    """Of any system."""
    lab.made(Name='a')
    with lab.emulator.slow():
        exporting = begin(lab)
        lab.emulator.wait_running(exporting)
        lab.emulator.cancel(exporting)

    lab.emulator.wait_idle()
    assert not listed(lab)
    assert not lab.emulator.driver.staged()


def test_a_lab_that_is_hidden_in_part_has_no_exports(lab, bundle):
    """None of its routes tells that there is one."""
    export, _ = bundle
    config = lab.emulator.app.config
    config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = [NODES['node-0']]
    try:
        for uri in (export['@odata.id'], export['DataURI']):
            assert requests.get(lab.emulator.url + uri).status_code == 404
    finally:
        del config['SUSHY_EMULATOR_ALLOWED_INSTANCES']


def test_an_export_of_a_former_member_is_hidden_with_it(lab, bundle):
    """Though the group as it is now may be seen."""
    export, _ = bundle
    answer = requests.post(
        lab.url('/lab/Actions/Aggregate.RemoveElements'),
        json={
            'Elements': [
                {'@odata.id': f'/redfish/v1/Systems/{NODES["node-2"]}'}
            ]
        },
        timeout=60,
    )
    assert answer.status_code in (200, 204), answer.text
    config = lab.emulator.app.config
    config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = [
        NODES['node-0'],
        NODES['node-1'],
    ]
    try:
        assert fetch(lab, export).status_code == 404
        assert listed(lab) == []
    finally:
        del config['SUSHY_EMULATOR_ALLOWED_INSTANCES']


# In ------------------------------------------------------------------------


def send(lab, content, **asked):
    root = requests.get(f'{lab.emulator.url}/redfish/v1/').json()
    return requests.post(
        lab.emulator.url + root['Oem']['HawkFish']['ImportURI'],
        data=content,
        params=asked,
        headers={'Content-Type': 'application/x-tar'},
        timeout=60,
    )


def systems(lab):
    return {system.name for system in lab.emulator.driver.power_states()}


def test_a_lab_comes_back_as_a_new_group(lab, bundle):
    """Under other names, with other UUIDs, the data of each, and started."""
    _, content = bundle
    _, files = unpacked(content)

    answer = lab.emulator.wait(
        send(lab, content, Name='again', Prefix='new-', Start='true')
    )

    assert answer.status_code == 201, answer.text
    group = requests.get(
        lab.emulator.url + answer.headers['Location'], timeout=60
    ).json()
    members = group['Oem']['HawkFish']['Systems']
    assert group['Name'] == 'again'
    assert [one['Name'] for one in members] == [f'new-{n}' for n in TRIO]
    assert not {one['UUID'] for one in members} & {*NODES.values()}
    states = lab.emulator.driver.power_states()
    assert {
        state for system, state in states.items() if 'new-' in system.name
    } == {'On'}
    assert sorted(lab.emulator.driver.received().values()) == sorted(
        data for name, data in files.items() if 'vda' in name
    )


def test_what_is_taken_is_told_of_all(lab, bundle):
    """Names and kept UUIDs, before anything is made; and the group."""
    _, content = bundle

    same_group = send(lab, content, Prefix='new-')
    same_names = send(lab, content, Name='again')
    same_uuids = send(
        lab, content, Name='again', Prefix='new-', KeepIdentity='true'
    )

    assert message_ids(same_group) == ['ResourceAlreadyExists']
    for answer in (same_names, same_uuids):
        assert message_ids(answer) == [
            'GroupMemberRefused',
            'SystemExists',
        ] * len(TRIO)
    assert not lab.emulator.driver.received()


def test_identities_are_kept(lab, bundle):
    """Where nobody has them any more."""
    _, content = bundle
    manifest, files = unpacked(content)
    for number, system in enumerate(manifest['Systems']):
        system['UUID'] = f'10000000-0000-4000-8000-{number:012}'

    answer = lab.emulator.wait(
        send(
            lab,
            packed(manifest, files),
            Name='again',
            Prefix='new-',
            KeepIdentity='true',
        )
    )

    assert answer.status_code == 201, answer.text
    uuids = {one['UUID'] for one in manifest['Systems']}
    assert uuids == {
        system.uuid
        for system in lab.emulator.driver.power_states()
        if system.name.startswith('new-')
    }


@pytest.mark.parametrize('step', ['prepare', 'define', 'finish'])
def test_all_are_imported_or_none(lab, bundle, step):
    """One that fails takes those with it that were made already."""
    manifest, files = unpacked(bundle[1])
    for number, system in enumerate(manifest['Systems']):
        system['UUID'] = f'20000000-0000-4000-8000-{number:012}'
    before = systems(lab)
    error = exceptions.OperationFailed('import', 'no memory')
    lab.emulator.behaviour.fail_at = {f'import:{step}': error}
    lab.emulator.behaviour.only = {manifest['Systems'][1]['UUID']}

    answer = lab.emulator.wait(
        send(
            lab,
            packed(manifest, files),
            Name='again',
            Prefix='new-',
            KeepIdentity='true',
        )
    )

    assert answer.status_code == 409
    assert message_ids(answer) == ['GroupMemberFailed']
    assert 'new-node-1' in answer.text
    assert systems(lab) == before
    assert not lab.emulator.driver.received()
    groups = lab.emulator.services.group_table.all()
    assert 'again' not in {group.name for group in groups}
    lab.emulator.services.receiving.periodic()


def spoiled(change):
    def spoil(manifest, files):
        change(manifest['Systems'], files)
        return manifest, files

    return spoil


def _two_of_a_name(systems, files):
    systems[1]['Name'] = systems[0]['Name']


def _two_of_an_identity(systems, files):
    systems[1]['UUID'] = systems[0]['UUID']


def _one_file_of_two(systems, files):
    systems[1]['Members'] = copy.deepcopy(systems[0]['Members'])


def _without_definition(systems, files):
    del systems[1]['Members'][0]


def _no_systems(systems, files):
    systems.clear()


def _too_many(systems, files):
    systems += [copy.deepcopy(systems[0]) for _ in range(200)]


def _wrong_sum(systems, files):
    systems[2]['Members'][-1]['SHA256'] = '0' * 64


def _one_is_altered(systems, files):
    name = systems[2]['Members'][-1]['Name']
    files[name] = files[name][:-1] + b'!'


def _disk_before_definition(systems, files):
    files['systems/1/domain.xml'] = files.pop('systems/1/domain.xml')


BAD = {
    change.__name__: spoiled(change)
    for change in (
        *(_two_of_a_name, _two_of_an_identity, _one_file_of_two),
        *(_without_definition, _no_systems, _too_many, _wrong_sum),
        *(_one_is_altered, _disk_before_definition),
    )
}


@pytest.mark.parametrize('name', BAD)
def test_a_lab_that_is_none_is_refused(lab, bundle, name):
    """With the reason; nothing is made, and no file is left."""
    _, content = bundle
    before = systems(lab)
    manifest, files = BAD[name](*unpacked(content))

    answer = send(lab, packed(manifest, files), Name='again', Prefix='new-')

    assert answer.status_code == 400, answer.text
    assert message_ids(answer) == ['BundleInvalid']
    assert systems(lab) == before


def test_a_name_of_a_group_that_is_none_is_refused(lab, bundle):
    """As where a group is created."""
    _, content = bundle

    answer = send(lab, content, Name='a/b', Prefix='new-')

    assert answer.status_code == 400
    assert message_ids(answer) == ['GroupNameInvalid']


# Clients -------------------------------------------------------------------


def test_the_commands_move_a_lab(lab, tmp_path, capsys):
    """Out to a file, and back in."""
    lab.made(Name='a')
    path = str(tmp_path / 'lab.tar')

    def hawkfish(*args):
        assert app.main(['--url', lab.emulator.url, *args]) == 0, (
            capsys.readouterr().err
        )
        return capsys.readouterr().out

    hawkfish('group', 'export', 'lab', '--snapshot', 'a', '-o', path)
    hawkfish(
        'group', 'import', path, '--name', 'again', '--name-prefix', 'new-'
    )

    assert 'new-node-2' in hawkfish('group', 'show', 'again')
    assert not listed(lab)


def test_an_import_on_a_terminal(lab, tmp_path):
    """Its progress is shown while there is no group yet."""
    lab.made(Name='a')
    path = tmp_path / 'lab.tar'
    service = client.HawkFish(lab.emulator.url)
    service.group_snapshots('lab').get('a').export().wait()
    (export,) = service.group_exports('lab')
    export.save(path)
    export.delete()
    words = ('group', 'import', str(path), '--name', 'again')

    with lab.emulator.slow():
        terminal = pexpect.spawn(
            PROGRAM[0],
            [
                *(*PROGRAM[1:], '--url', lab.emulator.url),
                *(*words, '--name-prefix', 'new-'),
            ],
            encoding='utf-8',
            timeout=60,
        )
        terminal.expect(r'\d% [A-Z]|There is no')
    terminal.expect(pexpect.EOF)
    terminal.close()

    assert terminal.exitstatus == 0, terminal.before
    assert len(service.group('again').systems) == 3


def test_the_sdk_moves_a_lab(lab, tmp_path):
    """With handles of its tasks."""
    lab.made(Name='a')
    service = client.HawkFish(lab.emulator.url)

    service.group_snapshots('lab').get('a').export().wait()
    (export,) = service.group_exports('lab')
    export.save(tmp_path / 'lab.tar')
    export.delete()
    service.import_group(
        tmp_path / 'lab.tar', name='again', prefix='new-'
    ).wait()

    assert len(service.group('again').systems) == 3
