# SPDX-License-Identifier: Apache-2.0
"""
Systems that would write to what a snapshot holds.

A definition comes to name such a file when somebody defines an older one
(Ansible, Terraform, a backup).  What a snapshot holds stays as it was,
whatever the service is asked to do next.
"""

import contextlib
import os
import re
import subprocess
import time

import libvirt
import pytest
import requests

from tests.functional.conftest import SMALL
from tests.served import message_ids
from tests.waiting import wait_for

pytestmark = pytest.mark.once

_INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE
REPAIR = 'Actions/HawkFishSnapshotCollection.Repair'


@pytest.fixture(autouse=True)
def _external(external):
    if not external:
        pytest.skip('an internal snapshot holds no file of its own')


def definition(system):
    return system.domain.XMLDesc(_INACTIVE)


def define(system, text):
    with contextlib.closing(system.host.connect()) as connection:
        connection.defineXML(text)


def reset(emulator, system, kind='On'):
    return requests.post(
        f'{emulator.system(system.uuid)}/Actions/ComputerSystem.Reset',
        json={'ResetType': kind},
        timeout=60,
    )


def repair(emulator, system, **body):
    response = requests.post(
        f'{emulator.collection(system.uuid)}/{REPAIR}', json=body, timeout=60
    )
    return emulator.wait(response) if response.status_code == 202 else response


def disk(system, command):
    """What ``qemu-io`` says of the first disk of the definition."""
    qemu_io = ['chroot', system.host.root, 'qemu-io', '-f', 'qcow2', '-c']
    done = subprocess.run(
        [*qemu_io, command, system.sources()[0]],
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def findings(emulator, system):
    policy = f'{emulator.system(system.uuid)}/Oem/HawkFish/SnapshotPolicy'
    found = requests.get(policy, timeout=60).json()['Capabilities']['Findings']
    return [finding['MessageId'].rpartition('.')[2] for finding in found]


def refused(response, *keys):
    return (response.status_code, message_ids(response)) == (409, [*keys])


@pytest.fixture
def old(make_system, emulator):
    """A system that is off, whose definition is of before its snapshot."""
    system = make_system(**SMALL)
    disk(system, 'write -P 1 0 64k')
    text = definition(system)
    emulator.create(system.uuid, Name='s')
    disk(system, 'write -P 2 0 64k')
    system.latest = system.sources()
    define(system, text)
    return system


def test_nothing_is_done_with_it(old, emulator):
    """It is neither started nor snapshotted, and says why."""
    assert 'DefinitionOnSnapshot' in findings(emulator, old)
    assert refused(reset(emulator, old), 'DefinitionOnSnapshot')
    assert refused(reset(emulator, old, 'ForceOn'), 'DefinitionOnSnapshot')
    for response in (
        emulator.post_create(old.uuid, Name='t'),
        emulator.send_delete(old.uuid, 's'),
    ):
        assert refused(response, 'DefinitionOnSnapshot'), response.text
    assert not old.domain.isActive()
    assert emulator.snapshot(old.uuid, 's')['SnapshotState'] == 'Ready'


def test_a_repair(old, emulator):
    """It brings the latest state back, and only says so before."""
    planned = repair(emulator, old, DryRun=True).json()['Repairs']
    assert [one['PathAfter'] for one in planned] == old.latest
    assert old.sources() != old.latest

    assert repair(emulator, old).status_code == 200

    assert old.sources() == old.latest
    assert 'verification failed' not in disk(old, 'read -P 2 0 64k')
    assert findings(emulator, old) == []
    assert repair(emulator, old, DryRun=True).json()['Repairs'] == []
    emulator.revert(old.uuid, 's')
    assert 'verification failed' not in disk(old, 'read -P 1 0 64k')


def test_a_revert(old, emulator):
    """It needs no repair before, and discards the latest state."""
    emulator.revert(old.uuid, 's')

    assert 'verification failed' not in disk(old, 'read -P 1 0 64k')
    assert reset(emulator, old).ok
    old.domain.destroy()


def states(emulator, system):
    found = emulator.snapshots(system.uuid)
    return {one['Name']: one['SnapshotState'] for one in found}


def test_started_by_somebody(old, emulator):
    """What it overwrites is Failed, also when it is off again."""
    assert states(emulator, old) == {'s': 'Ready'}
    old.domain.create()

    assert states(emulator, old) == {'s': 'Failed'}

    old.domain.destroy()
    assert states(emulator, old) == {'s': 'Failed'}
    refused_revert = emulator.post_revert(old.uuid, 's')
    assert refused(refused_revert, 'SnapshotDamaged')


def test_run_by_somebody_while_nobody_looked(old, emulator):
    """What was written to afterwards is in doubt, and a revert says so."""
    (base,) = old.sources()
    wait_for(
        lambda: (
            time.time() > os.path.getmtime(old.host.path(base)) + 1.5
            and time.time()
            > os.path.getmtime(old.host.path(old.latest[0])) + 1.5
        ),
        lambda: 'the clock',
    )
    disk(old, 'write -P 3 0 64k')

    def status():
        return emulator.snapshot(old.uuid, 's')['Status']

    # What a list tells of files may be seconds old.
    wait_for(lambda: status()['Health'] == 'Warning', status)
    (doubt,) = status()['Conditions']
    assert doubt['MessageId'].endswith('.SnapshotFileWritten')
    assert base in doubt['MessageArgs']
    preview = emulator.post_revert(old.uuid, 's', DryRun=True)
    warnings = preview.json()['Warnings']
    assert [w['MessageId'] for w in warnings] == [doubt['MessageId']]


@pytest.mark.parametrize('spelling', ['volume', 'link'])
def test_started_by_another_spelling(old, emulator, spelling):
    """The file is the same, whatever the definition calls it."""
    (path,) = old.sources()
    folder, _, name = path.rpartition('/')
    text = definition(old)
    if spelling == 'volume':
        source = re.search(f"<source file='{path}'[^>]*>", text)[0]
        text = text.replace("<disk type='file'", "<disk type='volume'", 1)
        text = text.replace(
            source, f"<source pool='default' volume='{name}'/>"
        )
    else:
        link = old.host.path('/srv/images')
        link.unlink(missing_ok=True)
        link.symlink_to(folder)
        text = text.replace(path, f'/srv/images/{name}')
    define(old, text)
    old.domain.create()

    assert states(emulator, old) == {'s': 'Failed'}
    old.domain.destroy()


def test_read_by_somebody(make_system, emulator):
    """A file that the system only reads, to get data back, is not changed."""
    system = make_system(**SMALL)
    (held,) = system.sources()
    emulator.create(system.uuid, Name='s')
    disk_again = (
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        f"<source file='{held}'/><target dev='vdb' bus='virtio'/><readonly/>"
        '</disk></devices>'
    )
    define(system, definition(system).replace('</devices>', disk_again))
    system.domain.create()

    assert states(emulator, system) == {'s': 'Ready'}
    system.domain.destroy()


def test_files_that_are_gone(old, emulator):
    """What cannot be mended is told, and left alone."""
    old.host.path(old.latest[0]).unlink()
    before = old.sources()

    assert refused(repair(emulator, old), 'DefinitionOnSnapshot')
    assert old.sources() == before


def test_a_link_that_is_new(make_system, emulator, host):
    """What is held is known by any path, whenever it was last looked at."""
    system = make_system(**SMALL)
    (base,) = system.sources()
    text = definition(system)
    findings(emulator, system)
    disk(system, 'write -P 1 0 4M')
    emulator.create(system.uuid, Name='s')
    links = host.path('/srv/links')
    links.mkdir(parents=True)
    (links / 'disk').symlink_to(base)
    define(system, text.replace(base, '/srv/links/disk'))

    assert refused(reset(emulator, system), 'DefinitionOnSnapshot')
    (links / 'disk').unlink()


def test_below_the_latest_state(old, emulator):
    """Nothing is let write to what somebody has put an overlay on."""
    above = f'{old.latest[0]}.above'
    subprocess.run(
        [
            'chroot',
            old.host.root,
            'qemu-img',
            'create',
            '-q',
            '-f',
            'qcow2',
            '-F',
            'qcow2',
            '-b',
            old.latest[0],
            above,
        ],
        check=True,
    )

    assert refused(repair(emulator, old), 'DiskIsBackingFile')
    define(old, definition(old).replace(old.sources()[0], old.latest[0]))
    assert refused(reset(emulator, old), 'DiskIsBackingFile')
    assert findings(emulator, old) == ['DiskIsBackingFile']
    # A create moves the system off that file.
    emulator.create(old.uuid, Name='t')
    assert reset(emulator, old).ok
    old.domain.destroy()
    old.host.path(above).unlink()


def test_the_two_definitions_differ(make_system, emulator):
    """A power cycle after a successful create keeps what was written."""
    system = make_system(**SMALL)
    text = definition(system)
    system.domain.create()
    emulator.create(system.uuid, Name='s')
    live = system.sources()
    # Only the definition of the next start is an old one.
    define(system, text)

    response = emulator.post_create(system.uuid, Name='t')
    assert refused(response, 'DefinitionOnSnapshot', 'DefinitionsDiffer')
    assert refused(
        reset(emulator, system, 'ForceRestart'), 'DefinitionOnSnapshot'
    )
    assert repair(emulator, system).status_code == 200
    assert system.sources() == live
    emulator.create(system.uuid, Name='t')
    system.domain.destroy()


@pytest.fixture
def pair(make_system, host):
    """A system, and the name of another on the same image; both are off."""
    system = make_system(**SMALL)
    name = f'{system.name}-other'
    text = re.sub('<uuid>.*?</uuid>', '', definition(system))
    text = text.replace(f'<name>{system.name}<', f'<name>{name}<')
    other = host.connect().defineXML(text)
    yield system, name
    other.undefine()


def test_another_definition_of_the_disk(pair, emulator):
    """Nobody makes a snapshot that another system overwrites."""
    system, other = pair

    response = emulator.post_create(system.uuid, Name='s')

    assert refused(response, 'DiskOfTwoSystems')
    assert other in response.text
    # There is nothing yet that a start would destroy.
    assert reset(emulator, system).ok
    system.domain.destroy()


def reset_other(emulator, host, name, kind='On'):
    uuid = host.connect().lookupByName(name).UUIDString()
    return requests.post(
        f'{emulator.system(uuid)}/Actions/ComputerSystem.Reset',
        json={'ResetType': kind},
        timeout=60,
    )


def test_the_other_one_runs(pair, emulator, host):
    """Two definitions of a disk take turns; none starts beside the other."""
    system, other = pair
    assert reset_other(emulator, host, other).ok

    assert refused(reset(emulator, system), 'DiskOfTwoSystems')

    assert reset_other(emulator, host, other, 'ForceOff').ok
    assert reset(emulator, system).ok
    answer = reset_other(emulator, host, other)
    assert refused(answer, 'DiskOfTwoSystems')
    system.domain.destroy()


def test_the_other_one_has_snapshots(make_system, emulator, host):
    """Its present state is not overwritten while it is off."""
    system, other = make_system(**SMALL), make_system(**SMALL)
    emulator.create(system.uuid, Name='s')
    (old,), (new,) = other.sources(), system.sources()
    define(other, definition(other).replace(old, new))

    assert refused(reset(emulator, other), 'DiskOfTwoSystems')
    assert refused(reset(emulator, system), 'DiskOfTwoSystems')
    define(other, definition(other).replace(new, old))
    assert reset(emulator, system).ok
    system.domain.destroy()


def test_another_definition_since_the_snapshot(make_system, emulator, host):
    """It does not start, and neither system is changed."""
    system = make_system(**SMALL)
    text = definition(system)
    emulator.create(system.uuid, Name='s')
    name = f'{system.name}-other'
    text = re.sub('<uuid>.*?</uuid>', '', text)
    text = text.replace(f'<name>{system.name}<', f'<name>{name}<')
    other = host.connect().defineXML(text)
    try:
        address = emulator.system(other.UUIDString())
        answer = requests.post(
            f'{address}/Actions/ComputerSystem.Reset',
            json={'ResetType': 'On'},
            timeout=60,
        )
        assert refused(answer, 'DefinitionOnSnapshot'), answer.text
        assert not other.isActive()
        for response in (
            emulator.post_create(system.uuid, Name='t'),
            emulator.post_revert(system.uuid, 's'),
        ):
            assert refused(response, 'DiskOfTwoSystems')
    finally:
        other.undefine()
    emulator.revert(system.uuid, 's')
