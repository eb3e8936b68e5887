# SPDX-License-Identifier: Apache-2.0
"""
Snapshots leave the host as bundles, and come back as systems.

Long, as a bundle is followed from one host to another.
"""

import concurrent.futures
import contextlib
import hashlib
import pathlib
import re
import subprocess

import pytest
import requests

from tests import tars
from tests.functional.conftest import SMALL, System
from tests.functional.emulator import Emulator
from tests.lab import domains
from tests.lab.host import IMAGES
from tests.lab.shell import Guest
from tests.served import message_ids
from tests.waiting import wait_for

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('an internal snapshot has no files of its own')


@pytest.fixture(autouse=True)
def _no_exports(host, make_system):
    """No export, and no pool, is left at the end of a test."""
    yield
    assert not list(host.path(IMAGES).glob('hawkfish-*.export'))
    connection = host.connect()

    def pools():
        found = [p.name() for p in connection.listAllStoragePools()]
        return [name for name in found if 'hawkfish' in name]

    # Whoever looks at the files after an operation has one for a moment.
    wait_for(lambda: not pools(), lambda: f'{pools()} to be gone')


def begin(emulator, system, name, **body):
    if name is None:
        exports = emulator.collection(system.uuid).rpartition('/')[0]
        return requests.post(f'{exports}/Exports', json=body, timeout=60)
    return requests.post(
        f'{emulator.collection(system.uuid)}/{name}'
        '/Actions/HawkFishSnapshot.Export',
        json=body,
        timeout=60,
    )


class Exported:
    """An export of a snapshot, which is deleted at the end of the block."""

    def __init__(self, emulator, system, name, **body):
        self.url = emulator.url
        answer = emulator.wait(begin(emulator, system, name, **body))
        assert answer.status_code == 201, answer.text
        self.resource = answer.json()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        uri = self.resource['@odata.id']
        assert requests.delete(self.url + uri).status_code == 204

    def fetch(self, **headers):
        uri = self.url + self.resource['DataURI']
        return requests.get(uri, headers=headers, timeout=60)

    def content(self):
        return self.fetch().content

    def files(self):
        """The content of each file of the bundle, which is what it says."""
        content = self.fetch().content
        assert len(content) == self.resource['SizeBytes']
        manifest, found = tars.unpacked(content)
        tars.check(manifest['Systems'][0]['Members'], found)
        return found


def inside(host, script):
    return subprocess.run(
        ['chroot', host.root, 'sh', '-ec', script],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def content_of(host, path, kind='qcow2'):
    """The checksum of what a guest sees of a disk."""
    return inside(
        host,
        f'qemu-img convert -U -f {kind} -O raw {path} /tmp/raw; '
        'sha256sum </tmp/raw; rm /tmp/raw',
    )


def content_of_bytes(host, data):
    path = host.path('/tmp/exported')
    path.write_bytes(data)
    try:
        described = inside(host, 'qemu-img info /tmp/exported')
        assert 'backing file' not in described
        return content_of(host, '/tmp/exported')
    finally:
        path.unlink()


def captured(system, name):
    """The file of the first disk that a snapshot holds."""
    from xml.etree import ElementTree

    text = system.domain.snapshotLookupByName(name).getXMLDesc()
    source = ElementTree.fromstring(text).find('domain/devices/disk/source')
    return source.get('file')


def scribble(system, pattern):
    path = system.sources()[0]
    inside(
        system.host, f"qemu-io -c 'write -P {pattern} {pattern}M 1M' {path}"
    )


def test_each_of_a_chain_is_exported_whole(make_system, emulator):
    """Flat, whatever it is backed by, and as it was captured."""
    system = make_system(**SMALL)
    for number in (1, 2, 3):
        scribble(system, number)
        emulator.create(system.uuid, Name=f's{number}')
    scribble(system, 4)

    for number in (1, 2, 3):
        with Exported(emulator, system, f's{number}') as exported:
            files = exported.files()
        assert content_of_bytes(
            system.host, files['disks/vda.qcow2']
        ) == content_of(system.host, captured(system, f's{number}'))
    assert system.name in files['domain.xml'].decode()


def test_a_raw_disk_is_exported(make_system, emulator):
    """As a qcow2 file."""
    disk = domains.Disk(size_mib=16, formatted=False, format='raw')
    system = make_system(**{**SMALL, 'disks': (disk,)})
    path = system.sources()[0]
    inside(system.host, f"qemu-io -f raw -c 'write -P 7 3M 1M' {path}")
    emulator.create(system.uuid, Name='s')

    with Exported(emulator, system, 's') as exported:
        files = exported.files()

    assert content_of_bytes(
        system.host, files['disks/vda.qcow2']
    ) == content_of(system.host, path, 'raw')


def test_a_raw_disk_that_looks_like_another_is_refused(make_system, emulator):
    """What a guest has written there must not name a file of the host."""
    disk = domains.Disk(size_mib=16, formatted=False, format='raw')
    system = make_system(**{**SMALL, 'disks': (disk,)})
    path = system.sources()[0]
    inside(
        system.host,
        f'qemu-img create -q -f qcow2 -F raw -b /etc/passwd /tmp/evil 16M; '
        f'dd if=/tmp/evil of={path} conv=notrunc status=none; rm /tmp/evil',
    )
    emulator.create(system.uuid, Name='s')

    answer = emulator.wait(begin(emulator, system, 's'))

    assert message_ids(answer) == ['OperationFailed']
    assert 'looks like qcow2' in answer.text


def test_a_running_system_is_exported_with_its_memory(make_system, emulator):
    """While it runs, and goes on."""
    system = make_system().boot()
    system.write('captured')
    emulator.create(system.uuid, Name='s')
    system.write('later')

    with Exported(emulator, system, 's', Memory=True) as exported:
        files = exported.files()
        etag = exported.fetch(Range='bytes=100-199')
        whole = exported.fetch().content

    assert etag.content == whole[100:200]
    assert files['memory.image'].startswith(b'LibvirtQemud')
    assert content_of_bytes(
        system.host, files['disks/vda.qcow2']
    ) == content_of(system.host, captured(system, 's'))
    assert system.read() == {'later'}


def test_a_running_system_is_exported_as_it_is(make_system, emulator):
    """It goes on where it was, and on the files that it was on."""
    system = make_system().boot()
    system.write('captured')
    emulator.create(system.uuid, Name='s')
    sources, described = system.sources(), system.domain.XMLDesc()
    base = captured(system, 's')
    before = content_of(system.host, base)

    with Exported(emulator, system, None, IncludeMemory=True) as exported:
        files = exported.files()

    assert files['memory.image'].startswith(b'LibvirtQemud')
    assert system.domain.listAllSnapshots()[0].getName() == 's'
    assert system.domain.snapshotNum() == 1
    assert len(system.sources()) == len(sources)
    assert content_of(system.host, base) == before
    assert described.count('<backingStore') == (
        system.domain.XMLDesc().count('<backingStore')
    )
    assert content_of_bytes(system.host, files['disks/vda.qcow2'])
    assert system.read() == {'captured'}
    emulator.revert(system.uuid, 's')
    assert system.read() == {'captured'}


def test_a_system_that_is_off_is_exported_as_it_is(make_system, emulator):
    """And nothing of it changes."""
    system = make_system(**SMALL)
    scribble(system, 5)
    expected = content_of(system.host, system.sources()[0])

    with Exported(emulator, system, None) as exported:
        files = exported.files()

    assert content_of_bytes(system.host, files['disks/vda.qcow2']) == expected
    assert content_of(system.host, system.sources()[0]) == expected
    assert not system.domain.snapshotNum()


@pytest.mark.parametrize('is_read', [False, True])
def test_who_deletes_at_once_succeeds(make_system, emulator, is_read):
    """As another one does the same, or as a download has not quite ended."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    for _ in range(5):
        made = emulator.wait(begin(emulator, system, 's')).json()
        uri = emulator.url + made['@odata.id']

        def other(_, made=made, uri=uri):
            if not is_read:
                return requests.delete(uri, timeout=60).status_code
            with contextlib.suppress(requests.RequestException):
                requests.get(emulator.url + made['DataURI'], timeout=60)
            return 204

        with concurrent.futures.ThreadPoolExecutor() as threads:
            others = threads.map(other, range(3))
            answer = requests.delete(uri, timeout=60)

            # Who comes too late finds nothing.
            assert {answer.status_code, *others} <= {204, 404}, answer.text
        assert requests.get(uri, timeout=60).status_code == 404


@pytest.fixture
def beside(host, folder):
    """An emulator that can read the exports of the host by their paths."""
    shared = folder / 'shared'
    host.path(str(shared)).mkdir(parents=True)
    shared.symlink_to(host.path(str(shared)))
    made = Emulator(folder, host.uri, OS_BACKUP__EXPORT_DIR=str(shared))
    yield made.start()
    made.stop()


def read_by(host):
    """The bytes that libvirtd has read so far."""
    text = pathlib.Path(f'/proc/{host.daemon_pid()}/io').read_text()
    return int(text.split()[1])


@pytest.mark.parametrize('is_beside', [True, False])
def test_what_the_emulator_can_read_it_reads(
    make_system, request, host, is_beside
):
    """By itself; it is the same bundle, with the same checksums."""
    name = 'beside' if is_beside else 'served'
    emulator = request.getfixturevalue(name)
    system = make_system(
        boot_guest=False, disks=(domains.Disk(size_mib=256, formatted=False),)
    )
    for disk in system.sources():
        inside(host, f"qemu-io -c 'write -P 7 0 130M' {disk}")
    emulator.create(system.uuid, Name='s')
    with Exported(emulator, system, 's') as exported:
        before = read_by(host)
        files = exported.files()
        taken = read_by(host) - before

    size = len(files['disks/vda.qcow2'])
    assert size > 130 * 2**20
    assert taken < size // 10 if is_beside else taken >= size
    assert content_of_bytes(host, files['disks/vda.qcow2']) == content_of(
        host, captured(system, 's')
    )
    emulator.delete(system.uuid, 's')


# Back in -------------------------------------------------------------------


@pytest.fixture
def send(imports, emulator):
    """Import a bundle."""

    def send(content, **asked):
        return requests.post(
            f'{emulator.url}/redfish/v1/Oem/HawkFish/Import',
            data=content,
            params=asked,
            headers={'Content-Type': 'application/x-tar'},
            timeout=120,
        )

    return send


def names(host):
    with contextlib.closing(host.connect()) as connection:
        return {domain.name() for domain in connection.listAllDomains()}


def definition(host, name):
    with contextlib.closing(host.connect()) as connection:
        return connection.lookupByName(name).XMLDesc()


def test_an_imported_system_has_the_data(make_system, emulator, send):
    """Of the moment that it was captured; it boots, and is its own."""
    system = make_system().boot()
    system.write('captured')
    emulator.create(system.uuid, Name='first')
    system.write('second')
    emulator.create(system.uuid, Name='second')
    system.write('later')
    with Exported(emulator, system, 'second') as exported:
        content = exported.content()

    answer = emulator.wait(send(content, Name='imported-1', Start='true'))

    assert answer.status_code == 201, answer.text
    made = definition(system.host, 'imported-1')
    assert system.uuid not in made
    assert not macs(made) & macs(system.domain.XMLDesc())
    guest = Guest(system.host, 'imported-1')
    guest.wait_booted()
    assert guest.run('cat /mnt/data').strip() == 'second'
    assert system.read() == {'later'}
    # It is a system like any other.
    uuid = answer.headers['Location'].rpartition('/')[2]
    assert emulator.create(uuid, Name='s')['SnapshotState'] == 'Ready'
    emulator.revert(uuid, 's')
    emulator.delete(uuid, 's')


def macs(text):
    return set(re.findall(r"<mac address='([^']*)'", text))


def test_firmware_variables_come_along(make_system, emulator, send):
    """Those of the snapshot, in a file of the new system's own."""
    system = make_system(**SMALL, firmware='uefi')
    system.domain.create()
    system.domain.destroy()
    emulator.create(system.uuid, Name='s')
    with Exported(emulator, system, 's') as exported:
        content = exported.content()

    answer = emulator.wait(send(content, Name='imported-2'))

    assert answer.status_code == 201, answer.text
    sums = {
        inside(system.host, f'sha256sum <{path}')
        for text in (
            system.domain.XMLDesc(),
            definition(system.host, 'imported-2'),
        )
        for path in re.findall(r'<nvram.*>(.*)</nvram>', text)
    }
    assert len(sums) == 1


def test_the_state_of_a_tpm_comes_along(make_system, emulator, send):
    """That of the snapshot; the system is off, and starts with it."""
    system = make_system(**SMALL, tpm=True)
    system.domain.create()
    system.domain.destroy()
    emulator.create(system.uuid, Name='s')
    with Exported(emulator, system, 's') as exported:
        content = exported.content()

    accepted = send(content, Name='imported-5')
    answer = emulator.wait(accepted)

    assert answer.status_code == 201, answer.text
    uuid = answer.headers['Location'].rpartition('/')[2]
    folder = '/var/lib/libvirt/swtpm/{}/tpm2/tpm2-00.permall'
    assert inside(system.host, f'cat {folder.format(uuid)}|sha256sum') == (
        inside(system.host, f'cat {folder.format(system.uuid)}|sha256sum')
    )
    told = requests.get(
        f'{emulator.url}/redfish/v1/TaskService/Tasks/{accepted.json()["Id"]}'
    ).json()['Messages']
    assert not [m for m in told if 'ImportLeftOut' in m['MessageId']]
    with contextlib.closing(system.host.connect()) as connection:
        domain = connection.lookupByName('imported-5')
        assert not domain.isActive()
        domain.create()


def test_a_memory_image_is_looked_at(host, emulator, send):
    """One that is damaged leaves nothing."""
    system = System(host, domains.Domain('moving', **SMALL))
    system.domain.create()
    emulator.create(system.uuid, Name='s')
    with Exported(emulator, system, 's', Memory=True) as exported:
        content = exported.content()
    emulator.delete(system.uuid, 's')
    system.remove()
    before = sorted(path.name for path in system.host.path(IMAGES).iterdir())
    asked = {'Memory': 'true', 'KeepIdentity': 'true', 'Name': 'imported-6'}
    damaged = with_memory(content, lambda data: b'x' + data[1:])
    entity = with_memory(
        content, lambda data: data.replace(b'<domain', b'<!DOCTYPE d>', 1)
    )

    answers = [send(damaged, **asked), send(entity, **asked)]
    whole = emulator.wait(send(content, **asked))

    assert [message_ids(answer) for answer in answers] == [
        ['BundleInvalid'],
        ['BundleInvalid'],
    ]
    assert whole.status_code == 201, whole.text
    made = definition(system.host, 'imported-6')
    assert system.uuid in made
    now = {path.name for path in system.host.path(IMAGES).iterdir()}
    assert [n for n in now - {*before} if not n.startswith('imported')] == []


def with_memory(content, change):
    """A bundle with another memory, whose checksum is right."""
    manifest, files = tars.unpacked(content)
    for member in manifest['Systems'][0]['Members']:
        if member['Role'] == 'Memory':
            files[member['Name']] = data = change(files[member['Name']])
            member['Size'] = len(data)
            member['SHA256'] = hashlib.sha256(data).hexdigest()
    return tars.packed(manifest, files)


def evil_disk(host, options):
    inside(host, f'qemu-img create -q -f qcow2 {options} /tmp/evil 16M')
    return host.path('/tmp/evil').read_bytes()


def packed(files, disk, definition):
    """A bundle of *files* with another disk and definition."""
    found = {**files, 'domain.xml': definition, 'disks/vda.qcow2': disk}
    roles = {'domain.xml': 'Domain', 'disks/vda.qcow2': 'Disk'}
    members = [
        {
            'Name': name,
            'Role': roles[name],
            'Size': len(found[name]),
            'SHA256': hashlib.sha256(found[name]).hexdigest(),
            'Target': 'vda',
            'Format': 'qcow2',
            'Capacity': 16 * 2**20,
        }
        for name in roles
    ]
    system = {
        'Name': 'x',
        'UUID': 'x',
        'Snapshot': {'Name': 's', 'Created': 1, 'PowerState': 'Off'},
        'Members': members,
    }
    manifest = {
        'Format': 'HawkFishBundle',
        'Version': 1,
        'Created': 1,
        'Systems': [system],
    }
    return tars.packed(manifest, {name: found[name] for name in roles})


def test_no_bundle_leads_to_files_of_the_host(make_system, emulator, send):
    """Neither a disk nor a definition, and nothing is left."""
    system = make_system(**SMALL)
    host = system.host
    emulator.create(system.uuid, Name='s')
    with Exported(emulator, system, 's') as exported:
        files = exported.files()
    disk, text = files['disks/vda.qcow2'], files['domain.xml']
    refused = [
        packed(files, evil_disk(host, options), text)
        for options in (
            '-F raw -b /etc/passwd',
            '-o data_file=/tmp/data',
        )
    ]
    kernel = b'<kernel>/etc/shadow</kernel><boot '
    foreign = packed(files, disk, text.replace(b'<boot ', kernel, 1))
    devices = text.replace(
        b'</devices>',
        b"<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/>"
        b"<product id='0x2'/></source></hostdev>"
        b"<filesystem type='mount'><source dir='/'/><target dir='x'/>"
        b"</filesystem><serial type='file'><source path='/etc/cron.d/x'/>"
        b'</serial></devices>',
    )
    before = sorted(path.name for path in host.path(IMAGES).iterdir())

    for content in refused:
        answer = send(content, Name='imported-3')
        assert message_ids(answer) == ['BundleInvalid'], answer.text
    answer = send(foreign, Name='imported-3')
    assert message_ids(answer) == ['ImportNotPossible'], answer.text
    now = sorted(path.name for path in host.path(IMAGES).iterdir())
    assert now == before
    assert 'imported-3' not in names(host)

    answer = emulator.wait(
        send(packed(files, disk, devices), Name='imported-3')
    )

    assert answer.status_code == 201, answer.text
    made = definition(host, 'imported-3')
    for word in ('hostdev', 'filesystem', 'cron.d'):
        assert word not in made


def test_what_is_missing_is_named(make_system, emulator, send):
    """Networks and pools, before anything is made."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    with Exported(emulator, system, 's') as exported:
        files = exported.files()
    text = files['domain.xml'].replace(
        b'</devices>',
        b"<interface type='network'><source network='nowhere'/></interface>"
        b'</devices>',
    )
    content = packed(files, files['disks/vda.qcow2'], text)

    answers = [
        send(content, Name='imported-4'),
        send(content, Name='imported-4', Pool='nowhere'),
        send(content, Name=system.name),
    ]

    assert [message_ids(answer) for answer in answers] == [
        ['NetworkMissing'],
        ['PoolNotUsable'],
        ['NetworkMissing', 'SystemExists'],
    ]
