# SPDX-License-Identifier: Apache-2.0
"""
Exports of snapshots, and the bundles that they are fetched as.

Long, as it is a whole resource, and each byte of its bundle.
"""

import contextlib
import io
import itertools
import os
import pty
import subprocess
import sys
import tarfile
import threading

import pytest
import requests
import zstandard

from hawkfish_plugin import client, exceptions, sending
from hawkfish_plugin.api import exports as exports_api
from hawkfish_plugin.bundles import checksums
from hawkfish_plugin.cli import app
from hawkfish_plugin.client import exports
from hawkfish_plugin.drivers.behaviour import Behaviour
from hawkfish_plugin.emulator import internals
from hawkfish_plugin.exports import Owner
from tests import tars
from tests.served import message_ids
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def _no_exports(emulator):
    """Each test begins, and ends, with none."""
    yield
    emulator.driver.behaviour = Behaviour()
    emulator.wait_idle()
    for system in emulator.driver.power_states():
        for export in emulator.services.exports.list(Owner(system.uuid)):
            emulator.services.exports.delete(export)
    assert not emulator.driver.staged()


def begin(emulator, name='a', **body):
    url = f'{emulator.snapshots_url}/{name}/Actions/HawkFishSnapshot.Export'
    return requests.post(url, json=body, timeout=60)


def exported(emulator, name='a', **body):
    """The export that a successful one has made."""
    answer = emulator.wait(begin(emulator, name, **body))
    assert answer.status_code == 201, answer.text
    assert answer.headers['Location'] == answer.json()['@odata.id']
    return answer.json()


def exports_url(emulator):
    system = requests.get(
        f'{emulator.url}/redfish/v1/Systems/{emulator.system}', timeout=60
    ).json()
    return emulator.url + system['Oem']['HawkFish']['Exports']['@odata.id']


def listed(emulator):
    return requests.get(
        exports_url(emulator) + '?$expand=.', timeout=60
    ).json()['Members']


def fetch(emulator, export, **headers):
    return requests.get(
        emulator.url + export['DataURI'], headers=headers, timeout=60
    )


@pytest.fixture
def bundle(emulator):
    """An export, and the bytes of its bundle."""
    emulator.created(Name='a', Description='words')
    export = exported(emulator)
    return export, fetch(emulator, export).content


def test_a_bundle_is_a_tar_that_describes_itself(emulator, bundle):
    """The manifest comes first, and all that it lists follows unharmed."""
    export, content = bundle

    manifest, files = tars.unpacked(content)
    (system,) = manifest['Systems']
    tars.check(system['Members'], files)

    assert [*files] == [
        *(member['Name'] for member in system['Members']),
        'checksums.json',
    ]
    assert (manifest['Format'], manifest['Version']) == ('HawkFishBundle', 3)
    assert (system['Name'], system['UUID']) == ('fake', emulator.system)
    assert system['Snapshot']['Name'] == 'a'
    assert system['Snapshot']['Description'] == 'words'
    assert export['SizeBytes'] == len(content)
    assert {m['Name']: m.get('SHA256') for m in system['Members']} == {
        f['Path']: f.get('SHA256') for f in export['Files']
    }


def test_memory_is_exported_where_it_is_asked_for(emulator):
    """Without it the manifest says that it is not there."""
    emulator.behaviour.power_state = 'On'
    emulator.created(Name='a')

    without, with_it = exported(emulator), exported(emulator, Memory=True)

    assert [one['Part'] for one in without['LeftOut']] == ['memory']
    assert 'Memory' not in {f['Role'] for f in without['Files']}
    assert not with_it['LeftOut']
    assert 'Memory' in {f['Role'] for f in with_it['Files']}


def test_memory_that_is_not_there_is_refused(emulator):
    """At once, with the reason."""
    emulator.created(Name='a')

    answer = begin(emulator, Memory=True)

    assert answer.status_code == 409
    assert message_ids(answer) == ['ExportNotPossible']


@pytest.mark.parametrize(
    'wanted, expected',
    [
        ('bytes=0-', slice(0, None)),
        ('bytes=0-0', slice(0, 1)),
        ('bytes=511-512', slice(511, 513)),
        ('bytes=700-300000', slice(700, 300001)),
        ('bytes=-1', slice(-1, None)),
        ('bytes=1000-99999999', slice(1000, None)),
    ],
)
def test_any_range_can_be_fetched(emulator, bundle, wanted, expected):
    """It is the same bytes as those of the whole."""
    export, content = bundle

    part = fetch(emulator, export, Range=wanted)

    assert part.status_code == 206
    assert part.content == content[expected]
    assert int(part.headers['Content-Length']) == len(part.content)
    first, last, _ = expected.indices(len(content))
    assert part.headers['Content-Range'] == (
        f'bytes {first}-{last - 1}/{len(content)}'
    )


def test_the_ranges_of_a_bundle_make_the_bundle(emulator, bundle):
    """Wherever a download broke, it can go on."""
    export, content = bundle
    begins = [*range(0, len(content), 40_009), len(content)]

    parts = [
        fetch(emulator, export, Range=f'bytes={begin}-{end - 1}').content
        for begin, end in itertools.pairwise(begins)
    ]

    assert b''.join(parts) == content


@pytest.fixture
def reads(emulator, monkeypatch):
    """The bytes of each read of a disk, whose checksums have small parts."""
    read, seen = emulator.driver.read_staged, []

    def note(folder, name, offset, length):
        if name == 'vda.qcow2':
            seen.append(length)
        return read(folder, name, offset, length)

    monkeypatch.setattr(emulator.driver, 'read_staged', note)
    monkeypatch.setattr(sending, '_WINDOW_BYTES', 2**14)
    for module in (checksums, tars):
        monkeypatch.setattr(module, 'PART_BYTES', 2**16)
    return seen


def disk_of(content):
    return tars.unpacked(content)[1]['disks/vda.qcow2']


def test_each_byte_is_read_once(emulator, reads):
    """By the first one; the checksums are known to whoever follows."""
    emulator.created(Name='a')
    export = exported(emulator)

    content = fetch(emulator, export).content

    manifest, files = tars.unpacked(content)
    tars.check(manifest['Systems'][0]['Members'], files)
    assert sum(reads) == len(disk_of(content))
    reads.clear()
    assert (
        fetch(emulator, export, Range='bytes=-1500').content
        == (content[-1500:])
    )
    assert not reads


def test_the_end_is_fetched_first(emulator, reads):
    """What its checksums are of is read for them, and but once."""
    emulator.created(Name='a')
    export = exported(emulator)

    ends = [
        fetch(emulator, export, Range='bytes=-1500').content for _ in range(2)
    ]

    size = sum(reads)
    content = fetch(emulator, export).content
    assert ends == [content[-1500:]] * 2
    assert size == len(disk_of(content))


def test_a_part_that_broke_is_read_again(emulator, reads):
    """And no other, wherever the next download begins."""
    emulator.created(Name='a')
    export = exported(emulator)
    half = export['SizeBytes'] // 2 + 5000

    with requests.get(
        emulator.url + export['DataURI'],
        headers={'Range': f'bytes=0-{half - 1}'},
    ) as answer:
        first = answer.content
    content = first + fetch(emulator, export, Range=f'bytes={half}-').content

    manifest, files = tars.unpacked(content)
    tars.check(manifest['Systems'][0]['Members'], files)
    assert sum(reads) <= len(disk_of(content)) + 2**16


def test_a_range_beyond_the_end_is_refused(emulator, bundle):
    """416, with the size that there is."""
    export, content = bundle

    answer = fetch(emulator, export, Range=f'bytes={len(content)}-')

    assert answer.status_code == 416
    assert answer.headers['Content-Range'] == f'bytes */{len(content)}'


def test_a_range_of_another_bundle_is_not_sent(emulator, bundle):
    """If-Range with another ETag gets the whole."""
    export, content = bundle
    etag = fetch(emulator, export).headers['ETag']

    same = fetch(emulator, export, Range='bytes=5-', **{'If-Range': etag})
    other = fetch(emulator, export, Range='bytes=5-', **{'If-Range': '"x"'})

    assert (same.status_code, same.content) == (206, content[5:])
    assert (other.status_code, other.content) == (200, content)


def test_the_head_of_a_bundle(emulator, bundle):
    """Its size and ETag, and that ranges are understood."""
    export, content = bundle
    whole = fetch(emulator, export)

    head = requests.head(emulator.url + export['DataURI'], timeout=60)

    assert head.status_code == 200
    for name in ('Content-Length', 'ETag', 'Accept-Ranges', 'Content-Type'):
        assert head.headers[name] == whole.headers[name]
    assert int(head.headers['Content-Length']) == len(content)
    assert head.headers['Content-Type'] == 'application/x-tar'


def test_a_head_knows_no_ranges(emulator, bundle):
    """RFC 9110 has them for GET alone."""
    export, content = bundle

    head = requests.head(
        emulator.url + export['DataURI'],
        headers={'Range': 'bytes=0-4'},
        timeout=60,
    )

    assert head.status_code == 200
    assert int(head.headers['Content-Length']) == len(content)


@pytest.mark.parametrize('condition', ['{0}', 'W/{0}', '"x", {0}', '*'])
def test_a_bundle_that_is_known_is_not_sent(emulator, bundle, condition):
    """Not even a range of it."""
    export, _ = bundle
    etag = requests.head(emulator.url + export['DataURI'], timeout=60).headers[
        'ETag'
    ]

    for more in ({}, {'Range': 'bytes=0-4'}):
        known = fetch(
            emulator,
            export,
            **{'If-None-Match': condition.format(etag), **more},
        )

        assert (known.status_code, known.content) == (304, b'')
        assert known.headers['ETag'] == etag


def test_a_place_that_becomes_free_is_taken(emulator, bundle, monkeypatch):
    """The end of a transfer is seen by its client before it is over here."""
    export, content = bundle
    room = emulator.services.rooms.transfers
    monkeypatch.setattr(exports_api, '_PLACE_SECONDS', 60.0)
    wait_for(lambda: room._waiting == 0, 'the end of the first transfer')
    for _ in range(room.most):
        assert room.enter()
    leaving = threading.Timer(0.5, room.leave)
    leaving.start()

    answer = fetch(emulator, export)
    leaving.join()
    for _ in range(room.most - 1):
        room.leave()

    assert answer.content == content


def test_an_export_outlives_its_snapshot(emulator, bundle):
    """What is staged needs no chain any more."""
    export, content = bundle
    deleted = requests.delete(f'{emulator.snapshots_url}/a', timeout=60)

    assert emulator.wait(deleted).status_code == 204
    assert fetch(emulator, export).content == content


def test_a_delete_removes_the_export_and_its_files(emulator, bundle):
    """Neither is there any more."""
    export, _ = bundle
    assert emulator.driver.staged()

    answer = requests.delete(emulator.url + export['@odata.id'], timeout=60)

    assert answer.status_code == 204
    assert not emulator.driver.staged()
    assert not listed(emulator)
    for uri in (export['@odata.id'], export['DataURI']):
        assert requests.get(emulator.url + uri).status_code == 404


def test_the_expired_are_deleted(emulator, bundle):
    """By themselves, when their time has come."""
    with emulator.services.exports._table._db.transaction() as connection:
        connection.execute('UPDATE exports SET expires = 1')

    emulator.services.exports.periodic()

    wait_for(lambda: not listed(emulator), 'the end of the export')
    assert not emulator.driver.staged()


def test_there_are_so_many_exports_at_the_most(emulator, bundle):
    """A further one is refused until one is deleted."""
    export = bundle[0]
    emulator.services.conf.set_override('max_exports', 1, 'backup')
    try:
        refused = begin(emulator)
        requests.delete(emulator.url + export['@odata.id'], timeout=60)
        again = emulator.wait(begin(emulator))
    finally:
        emulator.services.conf.clear_override('max_exports', 'backup')

    assert refused.status_code == 409
    assert message_ids(refused) == ['ExportLimitReached']
    assert again.status_code == 201


def test_two_exports_of_one_snapshot(emulator):
    """Each has files of its own."""
    emulator.created(Name='a')

    first, second = begin(emulator), begin(emulator)
    made = [emulator.wait(one).json() for one in (first, second)]

    assert len(emulator.driver.staged()) == 2
    assert len({one['@odata.id'] for one in made}) == 2
    first, second = (
        tars.unpacked(fetch(emulator, one).content) for one in made
    )
    assert first[1] == second[1]


def test_nothing_of_the_chain_goes_while_it_is_staged(emulator):
    """A delete of it waits for the end of the export."""
    for name in 'ab':
        emulator.created(Name=name)
    with emulator.slow():
        exporting = begin(emulator, 'b')
        emulator.wait_running(exporting)
        busy = requests.delete(f'{emulator.snapshots_url}/b', timeout=60)
        below = requests.delete(f'{emulator.snapshots_url}/a', timeout=60)
        assert emulator.task(exporting).active
        assert emulator.task(below).state == 'New'

    assert busy.status_code == 409
    assert emulator.wait(exporting).status_code == 201
    assert emulator.wait(below).status_code == 204


def test_a_cancelled_export_leaves_nothing(emulator):
    """No resource, and no file."""
    emulator.created(Name='a')
    with emulator.slow():
        exporting = begin(emulator)
        emulator.wait_running(exporting)
        emulator.cancel(exporting)

    assert not listed(emulator)
    assert not emulator.driver.staged()


@pytest.mark.parametrize('step', ['prepare', 'stage', 'finish'])
def test_a_failed_export_leaves_nothing(emulator, step):
    """At whichever step."""
    emulator.created(Name='a')
    error = exceptions.OperationFailed('export', 'no space left')
    emulator.behaviour.fail_at = {f'export:{step}': error}

    answer = emulator.wait(begin(emulator))

    assert answer.status_code == 409
    assert message_ids(answer) == ['OperationFailed']
    assert not listed(emulator)
    assert not emulator.driver.staged()


def test_a_hidden_system_has_no_exports(emulator, bundle):
    """None of its routes tells that there is one."""
    export, _ = bundle
    url = exports_url(emulator)
    emulator.app.config['SUSHY_EMULATOR_ALLOWED_INSTANCES'] = ['other']

    for uri in (export['@odata.id'], export['DataURI']):
        assert requests.get(emulator.url + uri).status_code == 404
    assert requests.get(url, timeout=60).status_code == 404
    assert begin(emulator).status_code == 404


def test_so_many_are_sent_at_a_time(emulator, bundle):
    """A further one is told to come back."""
    export, content = bundle
    room = emulator.services.rooms.transfers
    wait_for(lambda: room._waiting == 0, 'the end of the first transfer')
    with contextlib.ExitStack() as stack:
        for _ in range(room.most):
            assert room.enter()
            stack.callback(room.leave)
        refused = fetch(emulator, export)

    assert refused.status_code == 503
    assert message_ids(refused) == ['TooManyTransfers']
    assert int(refused.headers['Retry-After']) > 0
    assert fetch(emulator, export).content == content


def test_a_client_that_leaves_makes_room(emulator, bundle, monkeypatch):
    """At once, whatever it was being sent."""
    export, content = bundle
    room, read = emulator.services.rooms.transfers, emulator.driver.read_staged
    sent = threading.Event()

    def slow(*args):
        sent.wait(60)
        return read(*args)

    monkeypatch.setattr(emulator.driver, 'read_staged', slow)
    answer = requests.get(
        emulator.url + export['DataURI'], stream=True, timeout=60
    )
    wait_for(lambda: room._waiting == 1, 'the end of the first transfer')
    answer.close()
    sent.set()

    wait_for(lambda: room._waiting == 0, 'the end of the transfer')
    monkeypatch.undo()
    assert fetch(emulator, export).content == content


def test_a_file_that_is_gone_ends_the_download(emulator, bundle):
    """The client gets less than it was told, and so does not believe it."""
    export, _ = bundle
    (folder,) = emulator.driver.staged()
    emulator.driver.remove_staged(folder)

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        fetch(emulator, export)
    wait_for(
        lambda: emulator.services.rooms.transfers._waiting == 0,
        'the end of the transfer',
    )


# Clients ------------------------------------------------------------------


@pytest.fixture
def hawkfish(emulator, capfdbinary):
    """``hawkfish``, run here; gives its exit status and its output."""

    def run(*args):
        status = app.main(['--url', emulator.url, *map(str, args)])
        return status, *capfdbinary.readouterr()

    return run


@pytest.fixture
def breaking(emulator, monkeypatch):
    """A download breaks again and again until it is whole."""
    read = emulator.driver.read_staged
    places = itertools.count()

    def break_sometimes(folder, name, offset, length):
        if name == 'vda.qcow2' and next(places) in (1, 3, 5, 7):
            raise exceptions.HypervisorUnavailable('fake', 'it is away')
        return read(folder, name, offset, min(length, 100_000))

    monkeypatch.setattr(sending, '_WINDOW_BYTES', 100_000)
    monkeypatch.setattr(exports, 'PAUSE', 0.01)
    monkeypatch.setattr(emulator.driver, 'read_staged', break_sometimes)


def whole(content):
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return tar.getnames()[0] == 'manifest.json'


def test_the_command_writes_a_file(emulator, hawkfish, tmp_path):
    """Named after the system and the snapshot where no name is given."""
    emulator.created(Name='a')
    path = tmp_path / 'lab.tar'

    status, out, _ = hawkfish('snapshot', 'export', 'fake', 'a', '-o', path)

    assert (status, out) == (0, b'')
    assert whole(path.read_bytes())
    assert [p.name for p in tmp_path.iterdir()] == ['lab.tar']
    assert not listed(emulator)


def test_the_command_writes_to_a_pipe(emulator, hawkfish, monkeypatch):
    """Nothing but the bundle."""
    emulator.created(Name='a')
    written = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(written))

    status, _, _ = hawkfish('snapshot', 'export', 'fake', 'a', '-o', '-')
    sys.stdout.flush()

    assert status == 0
    assert whole(written.getvalue())
    assert not listed(emulator)


def test_a_compressed_bundle_is_imported_as_it_is(
    emulator, hawkfish, tmp_path, breaking
):
    """It is smaller, and the download goes on where it broke here too."""
    emulator.created(Name='a')
    path = tmp_path / 'lab.tar.zst'
    export = exported(emulator)

    status, _, err = hawkfish(
        *('snapshot', 'export', 'fake', 'a', '--compress', '-o', path)
    )

    assert status == 0, err
    packed = path.read_bytes()
    content = zstandard.decompress(packed)
    assert len(packed) < len(content) == export['SizeBytes']
    assert whole(content)
    status, _, err = hawkfish('system', 'import', path, '--name', 'again')
    assert status == 0, err
    made = emulator.driver.resolve('again')
    internals.remove_fake_system(emulator.app.systems, made.uuid)
    emulator.driver.remove_files(list(emulator.driver.received()))


def test_a_compressed_bundle_in_a_pipe(emulator, hawkfish, monkeypatch):
    """It is compressed as well."""
    emulator.created(Name='a')
    written = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(written))

    status, _, _ = hawkfish(
        *('snapshot', 'export', 'fake', 'a', '--compress', '-o', '-')
    )
    sys.stdout.flush()

    assert status == 0
    assert whole(zstandard.decompress(written.getvalue()))


def of_a_pipe(content):
    writer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return writer.compress(content) + writer.flush()


@pytest.mark.parametrize(
    'change, said',
    [
        (of_a_pipe, 'without its size'),
        (lambda c: zstandard.compress(c)[:5], 'damaged'),
        (lambda c: zstandard.compress(c)[:-2000], 'ends too early'),
        (lambda c: zstandard.compress(c)[:100] + b'!' * 5000, 'damaged'),
        (lambda c: zstandard.compress(bytes(2**28)), 'no tar'),
        (lambda c: zstandard.compress(c + bytes(2**28)), 'more than its'),
    ],
)
def test_a_compressed_bundle_that_is_none(
    emulator, hawkfish, bundle, tmp_path, change, said
):
    """It is told as that, and nothing is made."""
    path = tmp_path / 'lab.tar.zst'
    path.write_bytes(change(bundle[1]))
    before = {*emulator.driver.received()}

    status, _, err = hawkfish('system', 'import', path, '--name', 'never')

    assert status == 1
    assert said in ' '.join(err.decode().split())
    assert {*emulator.driver.received()} == before


def test_a_download_goes_on_where_it_broke(
    emulator, hawkfish, tmp_path, breaking
):
    """However often that happens."""
    emulator.created(Name='a')
    path = tmp_path / 'lab.tar'

    status, _, err = hawkfish('snapshot', 'export', 'fake', 'a', '-o', path)

    assert status == 0, err
    assert whole(path.read_bytes())


def test_a_file_that_cannot_be_written(emulator, hawkfish, tmp_path):
    """The reason is told, and nothing is left on either side."""
    emulator.created(Name='a')
    path = tmp_path / 'nowhere/lab.tar'

    status, _, err = hawkfish('snapshot', 'export', 'fake', 'a', '-o', path)

    assert status == 1
    assert b'No such file' in err
    assert not listed(emulator)


@pytest.mark.parametrize(
    'words, name', [((), 'fake-a.tar'), (('--compress',), 'fake-a.tar.zst')]
)
def test_a_bundle_in_a_folder(emulator, hawkfish, tmp_path, words, name):
    """It is called there as it is by default."""
    emulator.created(Name='a')

    status, _, err = hawkfish(
        *('snapshot', 'export', 'fake', 'a', '-o', tmp_path, *words)
    )

    assert status == 0, err
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert str(tmp_path / name).encode() in err


def test_a_folder_that_is_not_there_is_told_at_once(
    emulator, hawkfish, tmp_path
):
    """Not when the snapshot has been copied."""
    emulator.created(Name='a')
    before = len(emulator.services.tasks.list())

    status, _, err = hawkfish(
        *('snapshot', 'export', 'fake', 'a', '-o', tmp_path / 'no/lab.tar')
    )

    assert status == 1
    assert b'No such file' in err
    assert len(emulator.services.tasks.list()) == before


def test_a_named_pipe_is_written_to(emulator, hawkfish, tmp_path):
    """It stays what it is, as a device would."""
    emulator.created(Name='a')
    path = tmp_path / 'pipe'
    os.mkfifo(path)
    found = []
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()))
    reader.start()

    status, _, err = hawkfish('snapshot', 'export', 'fake', 'a', '-o', path)
    reader.join(60)

    assert status == 0, err
    assert path.is_fifo()
    assert whole(found[0])


def test_a_link_is_followed(emulator, hawkfish, tmp_path):
    """What it leads to is replaced."""
    emulator.created(Name='a')
    path, link = tmp_path / 'old.tar', tmp_path / 'link.tar'
    path.write_bytes(b'old')
    link.symlink_to(path)

    status, _, err = hawkfish('snapshot', 'export', 'fake', 'a', '-o', link)

    assert status == 0, err
    assert link.is_symlink()
    assert whole(path.read_bytes())
    assert {*tmp_path.iterdir()} == {path, link}


def test_a_bundle_is_for_its_owner(emulator, hawkfish, tmp_path):
    """There are passwords in it."""
    emulator.created(Name='a')
    path = tmp_path / 'lab.tar'

    status, _, err = hawkfish('snapshot', 'export', 'fake', 'a', '-o', path)

    assert status == 0, err
    assert path.stat().st_mode & 0o777 == 0o600


PROGRAM = """
import sys
from hawkfish_plugin.cli import app
sys.exit(app.main(sys.argv[1:]))
"""


def test_a_pipe_shows_progress(emulator, tmp_path):
    """On the terminal, where the errors go."""
    emulator.created(Name='a')
    main, terminal = pty.openpty()
    with open(tmp_path / 'lab.tar', 'wb') as file:
        subprocess.run(
            [
                *(sys.executable, '-c', PROGRAM, '--url', emulator.url),
                *('snapshot', 'export', 'fake', 'a', '-o', '-'),
            ],
            stdout=file,
            stderr=terminal,
            check=True,
            timeout=60,
        )
    os.close(terminal)
    shown = os.read(main, 65536)
    os.close(main)

    assert b'KiB of ' in shown
    assert whole((tmp_path / 'lab.tar').read_bytes())


def test_the_sdk_saves_to_a_folder(emulator, tmp_path):
    """Under the name of the snapshot, whatever is in that."""
    emulator.created(Name='a b')
    service = client.HawkFish(emulator.url)
    made = service.snapshots('fake').get('a b').export().wait()

    found = made.save(tmp_path)
    made.delete()

    assert found == str(tmp_path / 'a_b.tar')
    assert [path.name for path in tmp_path.iterdir()] == ['a_b.tar']


def test_the_sdk_saves_a_bundle(emulator, tmp_path):
    """With its progress in bytes."""
    emulator.created(Name='a')
    service = client.HawkFish(emulator.url)
    seen = []

    made = service.snapshots('fake').get('a').export().wait()
    made.save(tmp_path / 'lab.tar', lambda *numbers: seen.append(numbers))
    (found,) = service.exports('fake')
    found.delete()

    assert whole((tmp_path / 'lab.tar').read_bytes())
    assert seen[-1] == (made.size_bytes, made.size_bytes)
    assert made.snapshot == found.snapshot == 'a'
    assert not service.exports('fake')


# Of a system as it is now ---------------------------------------------------


def begin_now(emulator, **body):
    return requests.post(exports_url(emulator), json=body, timeout=60)


def snapshots(emulator):
    return emulator.driver.names(emulator.system)


def test_a_system_is_exported_as_it_is_now(emulator):
    """With its memory if that is wanted; its snapshot is gone again."""
    emulator.behaviour.power_state = 'On'

    answers = [
        emulator.wait(begin_now(emulator, **body))
        for body in ({}, {'IncludeMemory': True})
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    found = [answer.json() for answer in answers]
    assert [answer.headers['Location'] for answer in answers] == [
        one['@odata.id'] for one in found
    ]
    assert [
        'Memory' in {f['Role'] for f in one['Files']} for one in found
    ] == [False, True]
    assert whole(fetch(emulator, found[1]).content)
    assert not snapshots(emulator)


def test_an_export_now_counts_for_no_limit(emulator, policy):
    """It prunes nothing, and others are as they were."""
    emulator.created(Name='a')
    requests.patch(policy, json={'MaxSnapshots': 1}, timeout=60)

    answer = emulator.wait(begin_now(emulator))

    assert answer.status_code == 201, answer.text
    assert snapshots(emulator) == ['a']


def test_the_task_of_an_export_links_to_it(emulator):
    """As long as it is there."""
    made = [begin_now(emulator), None]
    emulator.wait(made[0])
    emulator.created(Name='a')
    made[1] = begin(emulator)
    emulator.wait(made[1])
    tasks = [
        f'{emulator.url}/redfish/v1/TaskService/Tasks/{one.json()["Id"]}'
        for one in made
    ]

    def linked():
        return [
            [
                link['@odata.id']
                for link in requests.get(task, timeout=60).json()['Links'][
                    'CreatedResources'
                ]
            ]
            for task in tasks
        ]

    exports = [[one['@odata.id']] for one in listed(emulator)]
    assert linked() == exports
    requests.delete(emulator.url + exports[0][0], timeout=60)
    assert linked() == [[], exports[1]]


def test_memory_that_a_system_does_not_have_is_refused(emulator):
    """Before anything is made."""
    answer = begin_now(emulator, IncludeMemory=True)

    assert answer.status_code == 409
    assert message_ids(answer) == ['ExportNotPossible']


@pytest.mark.parametrize(
    'body, message',
    [
        ({'IncludeMemory': 'yes'}, 'PropertyValueTypeError'),
        ({'SizeBytes': 5}, 'PropertyNotWritable'),
        ({'Colour': 'red'}, 'PropertyUnknown'),
    ],
)
def test_what_is_asked_of_an_export_is_checked(emulator, body, message):
    """Each property of it."""
    assert message_ids(begin_now(emulator, **body)) == [message]


@pytest.mark.parametrize(
    'place',
    [
        *('create:prepare', 'create:capture'),
        *('export:prepare', 'export:stage', 'export:finish'),
    ],
)
def test_an_export_now_that_fails_leaves_no_snapshot(emulator, place):
    """The error is that of the step."""
    error = exceptions.OperationFailed('export', 'no space left')
    emulator.behaviour.fail_at = {place: error}

    answer = emulator.wait(begin_now(emulator))

    assert answer.status_code == 409
    assert message_ids(answer) == ['OperationFailed']
    assert not snapshots(emulator)
    assert not listed(emulator)


def test_a_cancelled_export_now_leaves_nothing(emulator):
    """Neither its snapshot nor its files."""
    with emulator.slow():
        exporting = begin_now(emulator)
        emulator.wait_running(exporting)
        emulator.cancel(exporting)

    emulator.wait_idle()
    assert not snapshots(emulator)
    assert not listed(emulator)


def test_a_snapshot_that_stays_is_named(emulator):
    """The export is there all the same."""
    error = exceptions.OperationFailed('delete', 'no')
    emulator.behaviour.fail_at = {'delete:prepare': error}

    exporting = begin_now(emulator)
    answer = emulator.wait(exporting)

    assert answer.status_code == 201
    (left,) = snapshots(emulator)
    said = requests.get(
        f'{emulator.url}/redfish/v1/TaskService/Tasks/'
        f'{exporting.json()["Id"]}',
        timeout=60,
    ).json()['Messages']
    assert any(
        one['MessageId'].endswith('ExportSnapshotLeft')
        and one['MessageArgs'][0] == left
        for one in said
    )
    emulator.driver.clear()


def test_the_command_exports_a_system(emulator, hawkfish, tmp_path):
    """As it is; nothing is left."""
    path = tmp_path / 'lab.tar'

    status, out, err = hawkfish('system', 'export', 'fake', '-o', path)

    assert (status, out) == (0, b''), err
    assert whole(path.read_bytes())
    assert not listed(emulator)
    assert not snapshots(emulator)
