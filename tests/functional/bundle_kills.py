# SPDX-License-Identifier: Apache-2.0
"""
Kills at random moments of exports, imports, backups and verifications.

``python -m tests.functional.bundle_kills``: a real system has a snapshot and a
repository of backups, and in each round the emulator, libvirtd or the QEMU of
the system is killed.  Then the system, its snapshot and each backup have to be
what they were, and no task, job, clone, export or file may be left.
"""

import collections
import contextlib
import pathlib
import random
import sys
import tarfile
import time
from typing import Any

import libvirt
import libvirt_qemu
import requests

from tests.functional.conftest import SMALL, System
from tests.functional.emulator import Emulator
from tests.functional.killing import (
    VICTIMS,
    Broken,
    killing,
    number_on,
    play,
)
from tests.lab import domains
from tests.lab.host import IMAGES, Host
from tests.waiting import wait_for

FOLDER, POOL = '/srv/backups', 'backups'
_DEVICE = '/machine/peripheral/virtio-disk0/virtio-backend'
_MOST_BACKUPS = 6
# How long each operation takes, until one has been seen.
_SECONDS = {
    'export': 1.5,
    'import': 1.5,
    'backup': 1.5,
    'restore': 1.5,
    'verify': 4.0,
    'verify-backup': 4.0,
    'delete-backup': 0.5,
}
_TAR = {'Content-Type': 'application/x-tar'}


class World:
    """The system, and what its disk, snapshot and backups have to hold."""

    def __init__(self, host: Host, folder: pathlib.Path, seed: int) -> None:
        self.host, self._folder = host, folder
        self.rng = random.Random(seed)
        self._make_repository()
        self.emulator = Emulator(folder, host.uri, OS_BACKUP__REPOSITORY=POOL)
        self.emulator.start()
        self.system = System(host, domains.Domain('bundled', **SMALL))
        self._start()
        self.value = self.captured = 7
        self._write(7)
        self.emulator.create(self.system.uuid, Name='s')
        # By the id of each, what a backup holds.
        self.backups: dict[str, int] = {}
        self.seconds = dict(_SECONDS)
        self.counts: collections.Counter[str] = collections.Counter()
        self.bundle = self._export()
        self.frozen = self._files()

    def _make_repository(self) -> None:
        self.host.path(FOLDER).mkdir(parents=True, exist_ok=True)
        text = (
            f"<pool type='dir'><name>{POOL}</name>"
            f'<target><path>{FOLDER}</path></target></pool>'
        )
        with contextlib.closing(self.host.connect()) as connection:
            pool = connection.storagePoolDefineXML(text)
            pool.create()
            pool.setAutostart(True)

    def _export(self) -> bytes:
        """The bundle of the snapshot, which is deleted there."""
        answer = self.emulator.wait(self._submit('export', ''))
        assert answer.status_code == 201, answer.text
        content = self._get(answer.json()['DataURI']).content
        requests.delete(self._url(answer.json()['@odata.id']), timeout=60)
        return content

    # A round ---------------------------------------------------------------

    def play(self) -> str:
        """One operation and one kill; what was done."""
        self._start()
        self._write(self.rng.randrange(1, 256))
        kind, target = self._choose()
        victim = self.rng.choice(VICTIMS)
        after = self.rng.uniform(0, 1.1 * self.seconds[kind])
        last = max((int(t['Id']) for t in self.emulator.tasks()), default=0)
        begin = time.monotonic()
        with killing(
            self.host, self.emulator, victim, self.system.name, after
        ):
            with contextlib.suppress(requests.RequestException):
                self._submit(kind, target)
        task = self._ended(last)
        done = bool(task and task['TaskState'] == 'Completed')
        if done and time.monotonic() - begin < after:
            self.seconds[kind] = max(0.2, time.monotonic() - begin)
        outcome = 'done' if done else 'failed' if task else 'not begun'
        self.counts[f'{kind}, {victim}: {outcome}'] += 1
        played = f'{kind} {target}, {victim} after {after:.3f} s: {outcome}'
        try:
            self._note(kind, target, done, task)
            self._check()
        except Broken as exc:
            told = [one['Message'] for one in (task or {}).get('Messages', ())]
            raise Broken(f'{played}: {exc}; {told}') from exc
        return played

    def _choose(self) -> tuple[str, str]:
        kinds = ['export', 'import', 'verify', 'backup', 'backup']
        if self.backups:
            kinds += ['restore', 'verify-backup']
        if len(self.backups) >= _MOST_BACKUPS:
            kinds = ['delete-backup']
        kind = self.rng.choice(kinds)
        if kind == 'delete-backup':
            # None stands on the last one.
            return kind, max(self.backups, key=int)
        if kind in ('restore', 'verify-backup'):
            return kind, self.rng.choice(sorted(self.backups))
        return kind, ''

    def _submit(self, kind: str, target: str) -> requests.Response:
        system = self.emulator.system(self.system.uuid)
        snapshot = f'{system}/Oem/HawkFish/Snapshots/s/Actions'
        backups = f'{system}/Oem/HawkFish/Backups'
        actions = f'{backups}/{target}/Actions/HawkFishBackup'
        if kind == 'import':
            url = self._url('/redfish/v1/Oem/HawkFish/Import')
            return requests.post(
                f'{url}?Name=imported',
                data=self.bundle,
                headers=_TAR,
                timeout=90,
            )
        if kind == 'delete-backup':
            return requests.delete(f'{backups}/{target}', timeout=60)
        uri, body = {
            'export': (f'{snapshot}/HawkFishSnapshot.Export', {}),
            'verify': (
                f'{snapshot}/HawkFishSnapshot.Verify',
                {'RunSeconds': 1},
            ),
            'backup': (backups, {}),
            'restore': (f'{actions}.Restore', {'Name': 'imported'}),
            'verify-backup': (f'{actions}.Verify', {'RunSeconds': 1}),
        }[kind]
        return requests.post(uri, json=body, timeout=60)

    def _ended(self, last: int) -> dict[str, Any] | None:
        """The task of the round, when all tasks have ended."""
        wait_for(
            lambda: all('EndTime' in task for task in self.emulator.tasks()),
            lambda: f'the end of {self.emulator.tasks()[-4:]}',
            300,
            0.1,
        )
        found = [t for t in self.emulator.tasks() if int(t['Id']) > last]
        return found[0] if found else None

    def _note(
        self,
        kind: str,
        target: str,
        done: bool,
        task: dict[str, Any] | None,
    ) -> None:
        """What has come of it, and has to be true from now on."""
        if kind in ('import', 'restore'):
            holds = self.captured if kind == 'import' else self.backups[target]
            self._check_imported(done, holds)
        if kind == 'backup':
            new = {one['Id'] for one in self._listed()} - {*self.backups}
            if len(new) != done:
                raise Broken(f'there are the new backups {new}')
            self.backups |= dict.fromkeys(new, self.value)
        if kind == 'delete-backup' and task:
            # Begun, it is done again until it is done.
            wait_for(lambda: target not in self._ids(), 'the delete')
            del self.backups[target]
        if kind == 'export':
            self._check_exports(done)

    # What must hold ----------------------------------------------------------

    def _check(self) -> None:
        self._check_host()
        self._start()
        found = number_on(self.host, self.system.sources()[0])
        if found != self.value:
            raise Broken(f'the disk holds {found}, not {self.value}')
        if self.system.domain.snapshotListNames() != ['s']:
            raise Broken('the snapshots are others')
        if self._ids() != [*self.backups]:
            raise Broken(f'{self._ids()} are listed: {[*self.backups]}')
        wanted = {
            file['Path'] for one in self._listed() for file in one['Files']
        }
        there = {path.name for path in self.host.path(FOLDER).iterdir()}
        manifests = {name for name in there if name.endswith('.json')}
        if there - manifests != wanted or len(manifests) != len(self.backups):
            raise Broken(f'the repository has {there}, not {wanted}')

    def _check_host(self) -> None:
        def wrong() -> list[str]:
            with contextlib.closing(self.host.connect()) as connection:
                found = [one.name() for one in connection.listAllDomains()]
                pools = connection.listAllStoragePools()
                found += [
                    one.name()
                    for one in pools
                    if one.name().startswith('hawkfish')
                ]
            domain = self.system.domain
            found.remove(self.system.name)
            found += [one.getName() for one in domain.listAllCheckpoints()]
            with contextlib.suppress(libvirt.libvirtError):
                found.append(domain.backupGetXMLDesc())
            return found + sorted(self._files() ^ self.frozen)

        # What is removed after the end of a task is so in a while.
        wait_for(lambda: not wrong(), lambda: f'nobody to have {wrong()}', 90)

    def _files(self) -> set[str]:
        return {path.name for path in self.host.path(IMAGES).iterdir()}

    def _check_imported(self, done: bool, holds: int) -> None:
        with contextlib.closing(self.host.connect()) as connection:
            names = [one.name() for one in connection.listAllDomains()]
            # The task of an import is there once all of it was received.
            if ('imported' in names) != done:
                raise Broken(f'there are {names}')
            if not done:
                return
            connection.lookupByName('imported').undefine()
        (path,) = self.host.path(IMAGES).glob('imported-*')
        found = number_on(self.host, f'{IMAGES}/{path.name}')
        path.unlink()
        if found != holds:
            raise Broken(f'what was made holds {found}, not {holds}')

    def _check_exports(self, done: bool) -> None:
        uri = f'/redfish/v1/Systems/{self.system.uuid}/Oem/HawkFish/Exports'
        found = self._get(uri + '?$expand=.').json()['Members']
        if len(found) != done:
            raise Broken(f'there are the exports {found}')
        for one in found:
            self._check_bundle(self._get(one['DataURI']).content)
            requests.delete(self._url(one['@odata.id']), timeout=60)

    def _check_bundle(self, content: bytes) -> None:
        path = self._folder / 'bundle.tar'
        path.write_bytes(content)
        disk = self.host.path('/tmp/bundled.qcow2')
        with tarfile.open(path) as tar:
            (name,) = (one for one in tar.getnames() if one.endswith('.qcow2'))
            member = tar.extractfile(name)
            assert member
            disk.write_bytes(member.read())
        found = number_on(self.host, '/tmp/bundled.qcow2')
        disk.unlink()
        if found != self.captured:
            raise Broken(f'the bundle holds {found}, not {self.captured}')

    def check_all(self) -> None:
        """Each backup is whole, and the snapshot brings back what it has."""
        for number, holds in self.backups.items():
            for kind in ('verify-backup', 'restore'):
                answer = self.emulator.wait(self._submit(kind, number))
                if not answer.ok:
                    raise Broken(f'{kind} {number}: {answer.text}')
            self._check_imported(True, holds)
        self.emulator.revert(self.system.uuid, 's')
        found = number_on(self.host, self.system.sources()[0])
        if found != self.captured:
            raise Broken(f'the snapshot holds {found}')

    # What is asked -----------------------------------------------------------

    def _url(self, uri: str) -> str:
        return self.emulator.url + uri

    def _get(self, uri: str) -> requests.Response:
        return requests.get(self._url(uri), timeout=60)

    def _listed(self) -> list[dict[str, Any]]:
        uri = f'/redfish/v1/Systems/{self.system.uuid}/Oem/HawkFish/Backups'
        found: list[dict[str, Any]] = self._get(uri + '?$expand=.').json()[
            'Members'
        ]
        return found

    def _ids(self) -> list[str]:
        return [one['Id'] for one in self._listed()]

    # The disk ----------------------------------------------------------------

    def _start(self) -> None:
        """Let it run, as soon as libvirt knows that its QEMU was killed."""
        wait_for(self._runs, 'the system to run')

    def _runs(self) -> bool:
        with contextlib.suppress(libvirt.libvirtError):
            self.system.domain.create()
        with contextlib.suppress(libvirt.libvirtError):
            self._tell('info status')
            return True
        return False

    def _tell(self, command: str) -> None:
        """Give an order to QEMU."""
        libvirt_qemu.qemuMonitorCommand(
            self.system.domain,
            command,
            libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP,
        )

    def _write(self, value: int) -> None:
        """Let the disk hold a number."""
        for command in (f'write -P {value} 0 64k', 'flush'):
            self._tell(f'qemu-io -d {_DEVICE} "{command}"')
        self.value = value
        if (found := number_on(self.host, self.system.sources()[0])) != value:
            raise Broken(f'{value} was written, and {found} read')

    def stop(self) -> None:
        self.emulator.stop()


def main() -> int:
    return play(World, 'bundlekills', __doc__)


if __name__ == '__main__':
    sys.exit(main())
