# SPDX-License-Identifier: Apache-2.0
"""
Bundles that become systems, and those that do not.

Long, as each thing that can be wrong in a bundle has its test.
"""

import bz2
import contextlib
import copy
import gzip
import hashlib
import io
import json
import lzma
import os
import socket
import tarfile
import threading

import pytest
import requests
import zstandard

from hawkfish_plugin import exceptions
from hawkfish_plugin.cli import app
from hawkfish_plugin.drivers.behaviour import Behaviour
from hawkfish_plugin.emulator import internals
from tests import tars
from tests.served import message_ids
from tests.waiting import wait_for

DISK = bytes(range(256)) * 400


@pytest.fixture(autouse=True)
def _nothing_left(emulator):
    """Each test ends with the systems that there were, and no file."""
    systems = set(emulator.driver.power_states())
    yield
    emulator.driver.behaviour = Behaviour()
    emulator.wait_idle()
    uploads = emulator.services.receiving._uploads
    assert not uploads.all()
    assert not list(emulator.folder.glob('upload-*'))
    for system in set(emulator.driver.power_states()) - systems:
        internals.remove_fake_system(emulator.app.systems, system.uuid)
        emulator.driver.remove_files(list(emulator.driver.received()))
    assert not emulator.driver.received()


def import_url(emulator):
    root = requests.get(f'{emulator.url}/redfish/v1/', timeout=60).json()
    return emulator.url + root['Oem']['HawkFish']['ImportURI']


def send(emulator, content, **asked):
    return requests.post(
        import_url(emulator),
        data=content,
        params=asked,
        headers={'Content-Type': 'application/x-tar'},
        timeout=60,
    )


class Made:
    """A bundle in the making, which can be spoiled anywhere."""

    def __init__(self):
        self.files = {
            'domain.xml': b'<domain type="fake"/>\n',
            'disks/vda.qcow2': DISK,
        }
        roles = {'domain.xml': 'Domain', 'disks/vda.qcow2': 'Disk'}
        self.members = [
            {
                'Name': name,
                'Role': roles[name],
                'Size': len(data),
                'SHA256': hashlib.sha256(data).hexdigest(),
            }
            for name, data in self.files.items()
        ]
        self.disk |= {
            'Target': 'vda',
            'Format': 'raw',
            'Capacity': len(DISK),
        }
        self.system = {
            'Name': 'old',
            'UUID': 'x',
            'Snapshot': {'Name': 's', 'Created': 1, 'PowerState': 'Off'},
            'Members': self.members,
        }
        self.manifest = {
            'Format': 'HawkFishBundle',
            'Version': 1,
            'Created': 1,
            'Systems': [self.system],
        }

    @property
    def disk(self):
        return self.members[1]

    @disk.setter
    def disk(self, value):
        self.members[1] = value

    def tar(self, change=lambda info: None, form=tarfile.PAX_FORMAT):
        """The bytes; *change* may alter the header of each member."""
        made = io.BytesIO()
        files = {
            'manifest.json': json.dumps(self.manifest).encode(),
            **self.files,
        }
        with tarfile.open(fileobj=made, mode='w', format=form) as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                change(info)
                tar.addfile(info, io.BytesIO(data))
        return made.getvalue()


def imported(emulator, content, **asked):
    answer = emulator.wait(send(emulator, content, **asked))
    assert answer.status_code == 201, answer.text
    return requests.get(
        emulator.url + answer.headers['Location'], timeout=60
    ).json()


def test_a_bundle_becomes_a_system(emulator):
    """With the data of the disk, an identity of its own, and off."""
    system = imported(emulator, Made().tar())

    assert system['Name'] == 'old'
    assert system['UUID'] not in ('x', emulator.system)
    assert system['PowerState'] == 'Off'
    assert list(emulator.driver.received().values()) == [DISK]


def test_an_export_can_be_imported(emulator):
    """Under another name, and started."""
    emulator.created(Name='a')
    url = f'{emulator.snapshots_url}/a/Actions/HawkFishSnapshot.Export'
    export = emulator.wait(requests.post(url, json={}, timeout=60)).json()
    content = requests.get(emulator.url + export['DataURI'], timeout=60)

    refused = send(emulator, content.content)
    system = imported(emulator, content.content, Name='again', Start='true')
    requests.delete(emulator.url + export['@odata.id'], timeout=60)

    assert (refused.status_code, message_ids(refused)) == (
        409,
        ['SystemExists'],
    )
    assert (system['Name'], system['PowerState']) == ('again', 'On')


def test_a_bundle_of_gnu_tar_is_as_good(emulator):
    """Whoever unpacked one can pack it again."""
    imported(emulator, Made().tar(form=tarfile.GNU_FORMAT))


# What is refused ----------------------------------------------------------


def spoil_manifest(path, value):
    """A change of the manifest: the last of *path* gets *value*."""

    def spoil(made):
        place = made.manifest
        for step in path[:-1]:
            place = place[step]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        return made.tar()

    return spoil


def of_member(number, name, value):
    return spoil_manifest(('Systems', 0, 'Members', number, name), value)


def of_header(**fields):
    """A change of the header of the last member."""

    def spoil(made):
        def change(info):
            if info.name == 'disks/vda.qcow2':
                for name, value in fields.items():
                    setattr(info, name, value)

        return made.tar(change)

    return spoil


def with_big_header(made):
    """A header of 10 GiB, of which nothing follows."""
    info = tarfile.TarInfo('././@PaxHeader')
    info.type, info.size = tarfile.XHDTYPE, 10 * 2**30
    return info.tobuf(tarfile.GNU_FORMAT) + made.tar()


def with_more(made):
    made.files['extra'] = b'x'
    return made.tar()


def with_a_member_twice(made):
    made.members.append(copy.deepcopy(made.disk))
    return made.tar()


def without_a_disk(made):
    del made.members[1]
    return made.tar()


def altered(made):
    content = bytearray(made.tar())
    content[content.index(DISK) + 5] ^= 1
    return bytes(content)


def no_json(made):
    made.manifest = 'x'
    return made.tar().replace(b'"x"', b'{{{')


def a_bomb(made):
    made.files['domain.xml'] = b'\0' * 2**20
    made.members[0]['Size'] = 2**50
    return made.tar()


def late(change):
    """A bundle whose checksums come last, as *change* makes them."""

    def spoil(made):
        del made.disk['SHA256']
        made.manifest['Version'] = 3
        sums = {'disks/vda.qcow2': tars.parted(DISK)}
        made.files[tars.CHECKSUMS] = change(sums)
        return made.tar()

    return spoil


def without_late(made):
    late(lambda sums: b'')(made)
    del made.files[tars.CHECKSUMS]
    return made.tar()


def of_definition_late(made):
    content = late(lambda sums: json.dumps(sums).encode())
    del made.members[0]['SHA256']
    return content(made)


def late_in_an_old_version(made):
    late(lambda sums: json.dumps(sums).encode())(made)
    made.manifest['Version'] = 1
    return made.tar()


def of_manifest_wrong(made):
    """The checksums are right, but for that of the manifest."""
    return late(
        lambda sums: json.dumps(
            {**sums, 'manifest.json': tars.parted(b'another')}
        ).encode()
    )(made)


def with_filled(made):
    """Something is where nothing should be, after a file."""
    content = bytearray(made.tar())
    content[content.index(b'<domain') + 100] = 1
    return bytes(content)


def without_end(made):
    return made.tar().rstrip(b'\0') + bytes(1024 - 1)


def of_snapshot(name, value):
    return spoil_manifest(('Systems', 0, 'Snapshot', name), value)


def of_system(name, value):
    return spoil_manifest(('Systems', 0, name), value)


BAD = {
    'late: the manifest': of_manifest_wrong,
    'filled': with_filled,
    'cut in the end': without_end,
    'target of a definition': of_member(0, 'Target', [1]),
    'format of a definition': of_member(0, 'Format', {}),
    'time of the snapshot': of_snapshot('Created', 'now'),
    'power state': of_snapshot('PowerState', 1),
    'description': of_snapshot('Description', []),
    'versions': of_system('Hypervisor', [1]),
    'a version': of_system('Hypervisor', {'qemu': 1}),
    'left out': of_system('LeftOut', {}),
    'a part left out': of_system('LeftOut', [{'What': 1, 'Reason': ''}]),
    'late: wrong': late(lambda sums: b'{"disks/vda.qcow2": "%064d"}' % 0),
    'late: another one': late(lambda sums: b'{"a": "b"}'),
    'late: a list': late(lambda sums: b'[]'),
    'late: no JSON': late(lambda sums: b'{{'),
    'late: too big': late(lambda sums: b' ' * 2**21),
    'late: missing': without_late,
    'late: of a definition': of_definition_late,
    'late: too old': late_in_an_old_version,
    'nothing': lambda made: b'',
    'no tar': lambda made: b'x' * 4096,
    'zeros': lambda made: bytes(10240),
    'cut in the manifest': lambda made: made.tar()[:600],
    'cut in the disk': lambda made: made.tar()[:20_000],
    'cut before the end': lambda made: made.tar()[:3000],
    'altered': altered,
    'no JSON': no_json,
    'another format': spoil_manifest(('Format',), 'zip'),
    'no version': spoil_manifest(('Version',), 'one'),
    'no systems': spoil_manifest(('Systems',), []),
    'two systems': spoil_manifest(('Systems',), [{}, {}]),
    'no name': spoil_manifest(('Systems', 0, 'Name'), None),
    'parent folder': of_member(1, 'Name', '../../etc/passwd'),
    'absolute': of_member(1, 'Name', '/etc/passwd'),
    'dots': of_member(1, 'Name', 'disks/..'),
    'control': of_member(1, 'Name', 'a\n'),
    'not a text': of_member(1, 'Name', 5),
    'unknown role': of_member(1, 'Role', 'Shell'),
    'negative size': of_member(1, 'Size', -5),
    'size of a text': of_member(1, 'Size', '5'),
    'too big': of_member(1, 'Size', 2**62),
    'wrong size': of_member(1, 'Size', 5),
    'wrong checksum': of_member(1, 'SHA256', '0' * 64),
    'no checksum': of_member(1, 'SHA256', 'x'),
    'target': of_member(1, 'Target', '../vda'),
    'format': of_member(1, 'Format', 'vmdk'),
    'capacity': of_member(1, 'Capacity', 0),
    'bomb': a_bomb,
    'symbolic link': of_header(type=tarfile.SYMTYPE, linkname='/etc/passwd'),
    'hard link': of_header(type=tarfile.LNKTYPE, linkname='/etc/passwd'),
    'device': of_header(type=tarfile.BLKTYPE),
    'folder': of_header(type=tarfile.DIRTYPE),
    'other name': of_header(name='../../etc/passwd'),
    'big header': with_big_header,
    'more than it says': with_more,
    'twice': with_a_member_twice,
    'no disk': without_a_disk,
}


@pytest.mark.parametrize('name', BAD)
def test_a_bundle_that_is_none_is_refused(emulator, name):
    """With the reason; no system is made, and no file is left."""
    before = set(emulator.driver.power_states())

    answer = send(emulator, BAD[name](Made()))

    assert answer.status_code == 400, answer.text
    assert message_ids(answer) == ['BundleInvalid']
    assert set(emulator.driver.power_states()) == before


def test_checksums_may_come_last(emulator):
    """However they are written, and with what is not known."""
    made = Made()
    content = late(
        lambda sums: json.dumps(
            {
                **sums,
                'new': 1,
                'manifest.json': tars.parted(
                    json.dumps(made.manifest).encode()
                ),
            }
        ).encode()
    )

    answer = emulator.wait(send(emulator, content(made)))

    assert answer.status_code == 201, answer.text


def test_checksums_need_not_have_that_of_the_manifest(emulator):
    """Earlier ones did not."""
    content = late(lambda sums: json.dumps(sums).encode())

    answer = emulator.wait(send(emulator, content(Made())))

    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    'compress',
    [gzip.compress, lzma.compress, bz2.compress, zstandard.compress],
)
def test_a_compressed_bundle_is_told_as_that(emulator, compress):
    """The service takes none; a client decompresses it."""
    answer = send(emulator, compress(Made().tar()))

    assert answer.status_code == 400
    assert 'it is compressed' in answer.text


def test_a_newer_bundle_is_refused(emulator):
    """It could hold what this release does not know."""
    made = Made()
    made.manifest['Version'] = 4

    answer = send(emulator, made.tar())

    assert (answer.status_code, message_ids(answer)) == (400, ['BundleTooNew'])


@pytest.mark.parametrize(
    'asked, status, message',
    [
        ({'Name': '../x'}, 400, 'SystemNameInvalid'),
        ({'Name': 'fake'}, 409, 'SystemExists'),
        ({'Pool': 'nowhere'}, 409, 'PoolNotUsable'),
        ({'Start': 'perhaps'}, 400, 'QueryParameterValueFormatError'),
        ({'Colour': 'red'}, 501, 'QueryParameterUnsupported'),
    ],
)
def test_what_is_asked_is_checked(emulator, asked, status, message):
    """Before any file is made."""
    answer = send(emulator, Made().tar(), **asked)

    assert (answer.status_code, message_ids(answer)) == (status, [message])


def test_other_bodies_are_refused(emulator):
    """By their type, and without their length."""
    url, content = import_url(emulator), Made().tar()

    wrong = requests.post(url, json={}, timeout=60)
    chunked = requests.post(
        url,
        data=iter([content]),
        headers={'Content-Type': 'application/x-tar'},
        timeout=60,
    )

    assert (wrong.status_code, message_ids(wrong)) == (
        415,
        ['UnsupportedMediaType'],
    )
    assert (chunked.status_code, message_ids(chunked)) == (
        411,
        ['LengthRequired'],
    )


def test_a_client_that_leaves_leaves_nothing(emulator):
    """What it has sent is gone, and so is its place."""
    url, content = import_url(emulator), Made().tar()
    host, _, port = url.split('/')[2].partition(':')
    path = '/' + url.split('/', 3)[3]
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            f'POST {path} HTTP/1.1\r\nHost: x\r\n'
            'Content-Type: application/x-tar\r\n'
            f'Content-Length: {len(content)}\r\n\r\n'.encode()
            + content[:30_000]
        )
        wait_for(
            lambda: emulator.services.rooms.transfers._waiting == 1,
            'the beginning of the upload',
        )

    wait_for(
        lambda: emulator.services.rooms.transfers._waiting == 0,
        'the end of the upload',
    )


@pytest.mark.parametrize('step', ['prepare', 'define', 'finish'])
def test_a_failed_import_leaves_nothing(emulator, step):
    """At whichever step."""
    before = set(emulator.driver.power_states())
    error = exceptions.OperationFailed('import', 'no memory')
    emulator.behaviour.fail_at = {f'import:{step}': error}

    answer = emulator.wait(send(emulator, Made().tar()))

    assert message_ids(answer) == ['OperationFailed']
    assert set(emulator.driver.power_states()) == before
    emulator.services.receiving.periodic()


def test_what_a_dead_process_has_received_is_removed(emulator):
    """By whichever process looks next."""
    uploads = emulator.services.receiving._uploads
    with contextlib.ExitStack() as held:
        # Nobody sees one before it is locked, or has its file.
        with emulator.services.receiving._db.transaction():
            alive = uploads.begin()
            held.enter_context(emulator.services.locks.upload(alive))
            for path, upload in (
                ('/fake/alive', alive),
                ('/fake/dead', uploads.begin()),
            ):
                emulator.driver.make_file(path, 1)
                uploads.note(upload, [path])
        wait_for(
            lambda: list(emulator.driver.received()) == ['/fake/alive'],
            lambda: f'the end of {emulator.driver.received()}',
        )

    wait_for(
        lambda: not emulator.driver.received() and not uploads.all(),
        lambda: f'the end of {emulator.driver.received()}',
    )


def test_what_is_being_received_is_no_dead_one(emulator):
    """However often somebody looks for what dead processes have left."""
    ended = threading.Event()

    def look():
        while not ended.is_set():
            emulator.services.receiving.periodic()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        answers = [
            send(emulator, altered(Made()), Over='fake') for _ in range(20)
        ]
    finally:
        ended.set()
        looking.join()

    assert {answer.status_code for answer in answers} == {400}


def test_the_command_takes_no_pipe(emulator, tmp_path, capsys):
    """How long that is has to be known beforehand."""
    path = tmp_path / 'pipe'
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b'',))
    writer.start()

    status = app.main(['--url', emulator.url, 'system', 'import', str(path)])
    writer.join(60)

    assert status == 1
    told = ' '.join(capsys.readouterr().err.split())
    assert f'{path}: it is a pipe' in told


def test_the_command_imports_a_file(emulator, tmp_path, capsys):
    """And waits until the system is there."""
    path = tmp_path / 'lab.tar'
    path.write_bytes(Made().tar())

    status = app.main(
        ['--url', emulator.url, 'system', 'import', str(path), '--name', 'n']
    )

    assert status == 0, capsys.readouterr().err
    assert 'n' in {s.name for s in emulator.driver.power_states()}
    missing = str(tmp_path / 'nowhere')
    assert app.main(['--url', emulator.url, 'system', 'import', missing]) == 1
    assert 'No such file' in capsys.readouterr().err


# With memory, and a kept identity -------------------------------------------

KEPT = '30000000-0000-4000-8000-000000000001'


def with_memory(state='On'):
    """A bundle of a system that ran, with its memory."""
    made = Made()
    made.system['UUID'] = KEPT
    made.system['Snapshot']['PowerState'] = state
    made.files['memory.image'] = b'memory'
    made.members.append(
        {
            'Name': 'memory.image',
            'Role': 'Memory',
            'Size': 6,
            'SHA256': hashlib.sha256(b'memory').hexdigest(),
        }
    )
    return made.tar()


def test_a_guest_goes_on_with_its_memory(emulator):
    """Under its own identity; the image is gone once it has been loaded."""
    system = imported(
        emulator, with_memory(), Memory='true', KeepIdentity='true'
    )

    assert (system['UUID'], system['PowerState']) == (KEPT, 'On')
    assert list(emulator.driver.received().values()) == [DISK]


def test_memory_is_left_alone_unless_it_is_asked_for(emulator):
    """The system is off then."""
    system = imported(emulator, with_memory())

    assert system['PowerState'] == 'Off'
    assert system['UUID'] != KEPT


def test_a_guest_that_was_paused_stays_so(emulator):
    """Unless it is to be started."""
    system = imported(
        emulator, with_memory('Paused'), Memory='true', KeepIdentity='true'
    )

    assert system['PowerState'] == 'Off'


@pytest.mark.parametrize(
    'content, asked',
    [
        (with_memory, {'Memory': 'true'}),
        (lambda: Made().tar(), {'Memory': 'true', 'KeepIdentity': 'true'}),
    ],
)
def test_a_guest_that_cannot_go_on_is_refused(emulator, content, asked):
    """Without its MAC addresses, or its memory."""
    answer = send(emulator, content(), **asked)

    assert (answer.status_code, message_ids(answer)) == (
        409,
        ['ImportNotPossible'],
    )


def test_a_kept_identity_is_a_uuid(emulator):
    """What is none is refused, and what is taken."""
    made = Made()
    no_uuid = send(emulator, made.tar(), KeepIdentity='true')
    made.system['UUID'] = emulator.system
    taken = send(emulator, made.tar(), KeepIdentity='true')

    assert message_ids(no_uuid) == ['BundleInvalid']
    assert message_ids(taken) == ['SystemExists']


# Over a system that there is ------------------------------------------------


def replaced(emulator, content, **asked):
    answer = send(emulator, content, Over='fake', **asked)
    assert answer.status_code == 202, answer.text
    return emulator.wait(answer)


@pytest.fixture
def _files(emulator):
    """The files of imports over systems are gone at the end."""
    yield
    emulator.wait_idle()
    emulator.driver.remove_files(list(emulator.driver.received()))


def names(emulator):
    return emulator.driver.names(emulator.system)


@pytest.mark.usefixtures('_files')
@pytest.mark.parametrize(
    'asked, state', [({}, 'Off'), ({'Start': 'true'}, 'On')]
)
def test_a_system_gets_the_disks_of_a_bundle(emulator, asked, state):
    """After a safety snapshot; it is no new one."""
    emulator.created(Name='a')
    before = set(emulator.driver.power_states())

    answer = replaced(emulator, Made().tar(), **asked)

    assert answer.status_code == 200, answer.text
    assert set(emulator.driver.power_states()) == before
    system = emulator.driver.resolve(emulator.system)
    wait_for(
        lambda: emulator.driver.power_states()[system] == state,
        lambda: f'the power state {emulator.driver.power_states()[system]}',
    )
    assert names(emulator)[0] == 'a'
    assert names(emulator)[1].startswith('safety-')
    assert list(emulator.driver.received().values()) == [DISK]


@pytest.mark.usefixtures('_files')
def test_memory_goes_over_a_system(emulator):
    """Which keeps its own identity anyway."""
    answer = replaced(emulator, with_memory(), Memory='true')

    assert answer.status_code == 200, answer.text
    assert list(emulator.driver.received().values()) == [DISK]


def other_disk(made):
    made.disk['Target'] = 'vdb'
    return made.tar()


@pytest.mark.parametrize(
    'content, asked, status, message',
    [
        (Made().tar(), {'Name': 'x'}, 400, 'QueryCombinationInvalid'),
        (Made().tar(), {'Over': 'nothing'}, 404, 'ResourceNotFound'),
        (other_disk(Made()), {}, 409, 'ImportNotPossible'),
        (altered(Made()), {}, 400, 'BundleInvalid'),
    ],
)
def test_what_cannot_go_over_a_system_is_refused(
    emulator, content, asked, status, message
):
    """Before anything of it is changed, and without a snapshot."""
    answer = send(emulator, content, **{'Over': 'fake', **asked})

    assert (answer.status_code, message_ids(answer)) == (status, [message])
    assert not names(emulator)
    assert not emulator.driver.received()


def test_without_its_safety_snapshot_nothing_is_changed(emulator):
    """The import that comes after it fails as well."""
    error = exceptions.OperationFailed('create', 'no space left')
    emulator.behaviour.fail_at = {'create:capture': error}

    answer = replaced(emulator, Made().tar())

    assert message_ids(answer) == ['OperationFailed']
    assert 'safety' in answer.text
    assert not names(emulator)
    emulator.services.receiving.periodic()


@pytest.mark.parametrize('step', ['prepare', 'define', 'finish'])
def test_a_failed_import_over_leaves_the_safety_snapshot(emulator, step):
    """And no file."""
    error = exceptions.OperationFailed('import', 'no memory')
    emulator.behaviour.fail_at = {f'import:{step}': error}

    answer = replaced(emulator, Made().tar())

    assert message_ids(answer) == ['OperationFailed']
    assert len(names(emulator)) == 1
    assert not emulator.driver.received()
    emulator.services.receiving.periodic()


@pytest.mark.usefixtures('_files')
def test_the_command_imports_over_a_system(emulator, tmp_path, capsys):
    """And refuses what makes no sense with that."""
    path = tmp_path / 'lab.tar'
    path.write_bytes(Made().tar())
    words = ['--url', emulator.url, 'system', 'import', str(path)]

    status = app.main([*words, '--over', 'fake'])

    assert status == 0, capsys.readouterr().err
    assert len(names(emulator)) == 1
    assert app.main([*words, '--over', 'fake', '--name', 'x']) == 1
