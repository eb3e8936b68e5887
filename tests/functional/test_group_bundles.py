# SPDX-License-Identifier: Apache-2.0
"""A lab leaves its host as one bundle, and comes back on another one."""

import contextlib
import hashlib
import re

import libvirt
import pytest
import requests

from tests import tars
from tests.functional.conftest import SMALL, System, _host_name
from tests.functional.emulator import Emulator
from tests.lab import domains
from tests.lab.host import IMAGES, SERIAL, Host
from tests.lab.shell import TICK, Guest
from tests.served import message_ids

pytestmark = pytest.mark.once

AGGREGATES = '/redfish/v1/AggregationService/Aggregates'
IMPORT = '/redfish/v1/Oem/HawkFish/Import'
TAR = {'Content-Type': 'application/x-tar'}
NIC = "<interface type='user'><mac address='{}'/><model type='virtio'/>"


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('an internal snapshot has no files of its own')


@pytest.fixture(scope='module')
def away(host):
    """Another host, which has a system with the kernel of the guests."""
    name = f'{_host_name(host.release)}-away'
    with Host(name, host.release) as started:
        known = System(started, domains.Domain('known'))
        yield started
        known.remove()


@pytest.fixture
def there(away, tmp_path_factory):
    """The emulator of the other host, which has no other system at the end."""
    served = Emulator(tmp_path_factory.mktemp('away'), away.uri).start()
    yield served
    served.stop()
    flags = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    with contextlib.closing(away.connect()) as connection:
        for domain in connection.listAllDomains():
            if domain.name() != 'known':
                if domain.isActive():
                    domain.destroy()
                domain.undefineFlags(flags)
    for path in away.path(IMAGES).iterdir():
        if not path.name.startswith('known-'):
            path.unlink()


def group(emulator, systems, name, snapshot='clean'):
    elements = [
        {'@odata.id': f'/redfish/v1/Systems/{one.uuid}'} for one in systems
    ]
    made = requests.post(
        emulator.url + AGGREGATES,
        json={'Name': name, 'Elements': elements},
        timeout=60,
    )
    assert made.status_code == 201, made.text
    url = f'{emulator.url}{AGGREGATES}/{name}/Oem/HawkFish/Snapshots'
    made = emulator.wait(requests.post(url, json={'Name': snapshot}))
    assert made.status_code == 201, made.text
    return url


def exported(emulator, url, name='clean', **body):
    """The bytes of a bundle of a group snapshot."""
    begun = requests.post(
        f'{url}/{name}/Actions/HawkFishGroupSnapshot.Export', json=body
    )
    answer = emulator.wait(begun)
    assert answer.status_code == 201, answer.text
    export = answer.json()
    content = requests.get(emulator.url + export['DataURI']).content
    assert len(content) == export['SizeBytes']
    deleted = requests.delete(emulator.url + export['@odata.id'])
    assert deleted.status_code == 204
    return content


def send(emulator, content, **asked):
    return requests.post(
        emulator.url + IMPORT,
        data=content,
        params=asked,
        headers=TAR,
        timeout=120,
    )


def forget(emulator, name):
    gone = requests.delete(f'{emulator.url}{AGGREGATES}/{name}')
    assert gone.status_code in (200, 204), gone.text


def definition(host, name):
    with contextlib.closing(host.connect()) as connection:
        return connection.lookupByName(name).XMLDesc()


def changed(content, change):
    """The bundle with each definition as *change* makes it."""
    manifest, files = tars.unpacked(content)
    for system in manifest['Systems']:
        member = system['Members'][0]
        text = change(files[member['Name']].decode()).encode()
        files[member['Name']] = text
        member['Size'] = len(text)
        member['SHA256'] = hashlib.sha256(text).hexdigest()
    return tars.packed(manifest, files)


def test_a_lab_comes_back_on_another_host(
    make_system, emulator, there, away, host
):
    """All three run there, with the data of the moment of the snapshot."""
    systems = [make_system(memory_mib=128).boot() for _ in range(3)]
    for system in systems:
        system.write(f'captured-{system.name}')
    url = group(emulator, systems, 'out')
    for system in systems:
        system.write('later')
    content = exported(emulator, url)

    answer = there.wait(send(there, content, Name='back', Start='true'))

    assert answer.status_code == 201, answer.text
    made = requests.get(there.url + answer.headers['Location']).json()
    members = made['Oem']['HawkFish']['Systems']
    assert {one['Name'] for one in members} == {s.name for s in systems}
    assert not {one['UUID'] for one in members} & {s.uuid for s in systems}
    for system in systems:
        guest = Guest(away, system.name)
        guest.wait_booted()
        read = guest.run('cat /mnt/data').strip()
        assert read == f'captured-{system.name}'
        assert system.read() == {'later'}
    forget(emulator, 'out')
    forget(there, 'back')


def test_identities_of_a_lab(make_system, emulator, there, away):
    """Made anew as one mapping, or kept; what is taken is refused."""
    systems = [make_system(**SMALL) for _ in range(2)]
    url = group(emulator, systems, 'out')
    content = exported(emulator, url)
    forget(emulator, 'out')
    mac = '52:54:00:aa:bb:01'
    content = changed(
        content,
        lambda text: text.replace(
            '</devices>', f'{NIC.format(mac)}</interface></devices>'
        ),
    )

    def macs(name):
        text = definition(away, name)
        return re.findall(r"<mac address='([^']*)'", text)

    answers = [
        there.wait(send(there, content, Name='new', Prefix='new-')),
        there.wait(send(there, content, Name='old', KeepIdentity='true')),
    ]
    refused = send(
        there, content, Name='more', Prefix='more-', KeepIdentity='true'
    )

    assert [answer.status_code for answer in answers] == [201, 201]
    new = [macs(f'new-{system.name}') for system in systems]
    assert new[0] == new[1] != [mac]
    for system in systems:
        assert macs(system.name) == [mac]
        assert system.uuid in definition(away, system.name)
    assert message_ids(refused) == [
        *('GroupMemberRefused', 'SystemExists', 'ImportNotPossible'),
    ] * len(systems)
    forget(there, 'new')
    forget(there, 'old')


def test_what_is_missing_is_named_of_all(make_system, emulator, there, away):
    """Before anything is made."""
    systems = [make_system(**SMALL) for _ in range(2)]
    url = group(emulator, systems, 'out')
    content = exported(emulator, url)
    forget(emulator, 'out')
    before = sorted(path.name for path in away.path(IMAGES).iterdir())
    missing = changed(
        content,
        lambda text: text.replace(
            '</devices>',
            "<interface type='network'><source network='nowhere'/>"
            '</interface></devices>',
        ),
    )

    answer = send(there, missing, Name='back')

    assert message_ids(answer) == ['GroupMemberRefused', 'NetworkMissing'] * 2
    assert before == sorted(path.name for path in away.path(IMAGES).iterdir())
    with contextlib.closing(away.connect()) as connection:
        assert [d.name() for d in connection.listAllDomains()] == ['known']


def test_all_are_made_or_none(make_system, emulator, there, away):
    """One that cannot be started takes the other with it."""
    systems = [make_system(**SMALL) for _ in range(2)]
    url = group(emulator, systems, 'out')
    content = exported(emulator, url)
    forget(emulator, 'out')
    before = sorted(path.name for path in away.path(IMAGES).iterdir())
    last = systems[1].name
    # More than any machine has.
    broken = changed(
        content,
        lambda text: (
            re.sub(
                r'<(memory|currentMemory) unit=\S+>\d+<',
                r"<\1 unit='PiB'>64<",
                text,
            )
            if f'<name>{last}<' in text
            else text
        ),
    )

    answer = there.wait(send(there, broken, Name='back', Start='true'))

    assert answer.status_code == 409, answer.text
    assert 'GroupMemberFailed' in message_ids(answer)
    with contextlib.closing(away.connect()) as connection:
        assert [d.name() for d in connection.listAllDomains()] == ['known']
    assert before == sorted(path.name for path in away.path(IMAGES).iterdir())


def first_tick(host, name):
    """The first that a guest has counted on its console here."""
    log = host.path(f'{SERIAL}/{name}.log').read_bytes()
    found = TICK.search(log)
    return found and int(found[1])


def test_a_lab_goes_on_with_its_memory(make_system, emulator, there, away):
    """All count on from where they were captured; one that was off is off."""
    systems = [make_system(memory_mib=128).boot() for _ in range(2)]
    off = make_system(**SMALL)
    for system in systems:
        system.guest.wait_ticks()
        system.write('captured')
    url = group(emulator, [*systems, off], 'out')
    before = [system.guest.ticks() for system in systems]
    refused = requests.post(
        f'{url}/clean/Actions/HawkFishGroupSnapshot.Export',
        json={'Memory': True},
    )
    forget(emulator, 'out')
    assert message_ids(refused) == ['GroupMemberRefused', 'ExportNotPossible']
    url = group(emulator, systems, 'out', 'both')
    content = exported(emulator, url, 'both', Memory=True)
    forget(emulator, 'out')

    anew = send(there, content, Name='back', Memory='true')
    answer = there.wait(
        send(there, content, Name='back', Memory='true', KeepIdentity='true')
    )

    assert message_ids(anew) == ['ImportNotPossible']
    assert answer.status_code == 201, answer.text
    for system, least in zip(systems, before, strict=True):
        guest = Guest(away, system.name)
        guest.wait_ticks()
        assert least <= first_tick(away, system.name)
        assert guest.run('cat /mnt/data').strip() == 'captured'
        assert system.read() == {'captured'}
    assert not list(away.path(IMAGES).glob('*.mem'))
    forget(there, 'back')
