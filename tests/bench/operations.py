# SPDX-License-Identifier: Apache-2.0
"""
Create, revert and delete over HTTP, against virsh on the same system.

Ours runs from the POST to the end of its task.  Each round leaves the system
as it was, and who begins changes from round to round.  Beside the defaults
there is an emulator that leaves the guest's agent alone, as virsh does.
"""

import collections
import concurrent.futures
import contextlib
import json
import pathlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import libvirt
import requests

from tests.bench.measure import Row, Virsh, seconds
from tests.bench.pauses import Beats, Stops
from tests.lab import domains
from tests.lab.host import IMAGES, Host
from tests.lab.shell import Guest
from tests.served import Served

ROUNDS = 7
AT_ONCE = 3
# Overlays of reverts are named by the second.
SETTLE_SECONDS = 1.2
MEMORY_MIB = 256
POLL_SECONDS = 0.01
PREFER = {'Prefer': 'wait=60'}

Samples = dict[str, list[float]]


class Ours:
    """What a client of the emulator does, that waits for the end."""

    action = 'HawkFishSnapshot.Revert'
    pause = POLL_SECONDS

    def __init__(self, emulator: Served, snapshots: str) -> None:
        self._emulator = emulator
        self._uri = snapshots
        self._session = requests.Session()

    @classmethod
    def of(cls, emulator: Served, uuid: str) -> 'Ours':
        """Of the snapshots of one system."""
        return cls(emulator, f'{emulator.system(uuid)}/Oem/HawkFish/Snapshots')

    def create(self, name: str) -> None:
        self._do('POST', self._uri, {'Name': name})

    def revert(self, name: str) -> None:
        action = f'{name}/Actions/{self.action}'
        self._do('POST', f'{self._uri}/{action}', {})

    def delete(self, name: str) -> None:
        self._do('DELETE', f'{self._uri}/{name}')

    def _do(self, method: str, uri: str, body: object = None) -> None:
        answer = self._session.request(
            method, uri, json=body, timeout=60, headers=PREFER
        )
        # A long operation takes more than a request may.
        monitor = self._emulator.url + answer.headers.get('Location', '')
        while answer.status_code == 202:
            time.sleep(self.pause)
            answer = self._session.get(monitor, timeout=60)
        assert answer.ok, answer.text


class Plain:
    """What a user of virsh does to get the same."""

    def __init__(self, virsh: Virsh, name: str) -> None:
        self._virsh = virsh
        self._name = name

    def create(self, name: str, live: bool = True) -> None:
        stem = f'{IMAGES}/{self._name}-{name}'
        self._virsh(
            'snapshot-create-as',
            self._name,
            name,
            *(['--live'] if live else []),
            '--memspec',
            f'{stem}.mem',
            '--diskspec',
            f'vda,snapshot=external,file={stem}.qcow2',
        )

    def revert(self, name: str) -> None:
        self._virsh('snapshot-revert', self._name, name)

    def delete(self, name: str) -> None:
        self._virsh('snapshot-delete', self._name, name)


class Careful(Plain):
    """
    What a careful administrator's script does: for safety, what ours does.

    It looks at the system, its disks and the space; it has the guest write
    its file systems down before a create, and sets its clock after a revert.
    """

    def create(self, name: str, live: bool = True) -> None:
        self._look()
        self._virsh('pool-info', 'default', '--bytes')
        self._virsh('domblkinfo', self._name, '--all')
        self._agent('guest-ping')
        self._virsh('domfsfreeze', self._name)
        self._virsh('domfsthaw', self._name)
        super().create(name, live)

    def revert(self, name: str) -> None:
        self._look()
        self._virsh('snapshot-dumpxml', self._name, name)
        self._virsh('pool-info', 'default', '--bytes')
        super().revert(name)
        self._virsh('domtime', self._name, '--now')

    def delete(self, name: str) -> None:
        self._look()
        self._virsh('snapshot-dumpxml', self._name, name)
        self._virsh('snapshot-list', self._name, '--tree')
        self._virsh('blockjob', self._name, 'vda', '--info')
        super().delete(name)

    def _look(self) -> None:
        self._virsh('domstate', self._name)
        self._virsh('domblklist', self._name, '--details')

    def _agent(self, command: str) -> None:
        text = json.dumps({'execute': command})
        self._virsh('qemu-agent-command', self._name, text)


def measure(host: Host, emulator: Served, bare: Served) -> list[Row]:
    virsh = Virsh(host)
    uuid = boot(host, 'worked')
    sides = {
        'default': Ours.of(emulator, uuid),
        'bare': Ours.of(bare, uuid),
        'virsh': Plain(virsh, 'worked'),
        'careful': Careful(virsh, 'worked'),
    }
    written = _written(host)
    with contextlib.closing(host.connect()) as connection:
        stops = Stops(connection, 'worked')
        taken = _in_turn(sides, stops, Beats(Guest(host, 'worked')))
        connection.lookupByName('worked').destroy()
    rows = [
        Row(
            f'{verb}, {words}',
            f'virsh snapshot-{verb}',
            taken[side][verb],
            taken['virsh'][verb],
            1.05,
            limit=written if verb == 'create' else '',
        )
        for verb in ('create', 'revert', 'delete')
        for side, words in (
            ('default', 'as by default'),
            ('bare', 'without the agent'),
        )
    ]
    rows += [
        Row(
            f'{verb}, as by default',
            'a careful script of virsh',
            taken['default'][verb],
            taken['careful'][verb],
            0.8,
        )
        for verb in ('create', 'revert', 'delete')
    ]
    for key, words in (
        ('stop', 'stop of the guest in a create, by QEMU'),
        ('silence', 'silence of the guest in a create, by its beats'),
    ):
        live = taken['virsh'][key]
        rows += [
            Row(
                f'{words}, as by default',
                'virsh --live',
                taken['default'][key],
                live,
                1.05,
            ),
            Row(
                f'{words}, without the agent',
                'virsh --live',
                taken['bare'][key],
                live,
                1.05,
            ),
            Row(
                f'{words}, as by default',
                'virsh without --live',
                taken['default'][key],
                taken['plain'][key],
            ),
        ]
    return [*rows, *_at_once(host, emulator, bare, virsh)]


def boot(host: Host, name: str) -> str:
    """Define a system, wait until its guest is up, and return its UUID."""
    uuid = domains.define(host, domains.Domain(name, memory_mib=MEMORY_MIB))
    with contextlib.closing(host.connect()) as connection:
        connection.lookupByName(name).create()
    Guest(host, name).wait_booted()
    return uuid


def _written(host: Host) -> str:
    """How fast the host writes a file."""
    path = host.path(f'{IMAGES}/written')
    mib = 128

    def write() -> None:
        with path.open('wb') as file:
            for _ in range(mib):
                file.write(b'\xa5' * 2**20)

    rate = mib / seconds(write)
    path.unlink()
    return f'{rate:.0f} MiB/s written raw'


def _in_turn(
    sides: dict[str, Any], stops: Stops, beats: Beats
) -> dict[str, Samples]:
    taken: dict[str, Samples] = {
        name: collections.defaultdict(list) for name in (*sides, 'plain')
    }
    for number in range(ROUNDS):
        for name in [*sides][:: 1 if number % 2 else -1]:
            side, samples = sides[name], taken[name]
            with (
                stops.during(samples['stop']),
                beats.during(samples['silence']),
                _timed(samples['create']),
            ):
                side.create('bench')
            _undo(side, samples)
        plain, samples = sides['virsh'], taken['plain']
        with stops.during(samples['stop']), beats.during(samples['silence']):
            plain.create('bench', live=False)
        plain.delete('bench')
    return taken


def _undo(side: Any, samples: Samples) -> None:
    time.sleep(SETTLE_SECONDS)
    with _timed(samples['revert']):
        side.revert('bench')
    time.sleep(SETTLE_SECONDS)
    with _timed(samples['delete']):
        side.delete('bench')


@contextlib.contextmanager
def _timed(samples: list[float]) -> Iterator[None]:
    begin = time.monotonic()
    yield
    samples.append(time.monotonic() - begin)


def _at_once(
    host: Host, emulator: Served, bare: Served, virsh: Virsh
) -> list[Row]:
    names = [f'many{number}' for number in range(AT_ONCE)]
    uuids = [boot(host, name) for name in names]
    ours = [Ours.of(emulator, uuid) for uuid in uuids]
    alike = [Ours.of(bare, uuid) for uuid in uuids]
    plain = [Plain(virsh, name) for name in names]
    for one in ours:
        one.create('bench')

    def together(ones: Sequence[Any]) -> None:
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda one: one.revert('bench'), ones))

    def one_by_one() -> None:
        for one in plain:
            one.revert('bench')

    calls = {
        'ours': lambda: together(ours),
        'bare': lambda: together(alike),
        'sequence': one_by_one,
        'together': lambda: together(plain),
    }
    taken: Samples = collections.defaultdict(list)
    for _ in range(ROUNDS - 2):
        for name, call in calls.items():
            time.sleep(SETTLE_SECONDS)
            taken[name].append(seconds(call))
    with contextlib.closing(host.connect()) as connection:
        for name in names:
            connection.lookupByName(name).destroy()
    what = f'{AT_ONCE} systems reverted at once'
    return [
        Row(
            f'{what}, as by default',
            'virsh, one by one',
            taken['ours'],
            taken['sequence'],
            0.7,
        ),
        Row(
            f'{what}, without the agent',
            'virsh, one by one',
            taken['bare'],
            taken['sequence'],
            0.7,
        ),
        Row(
            f'{what}, without the agent',
            'virsh, at once',
            taken['bare'],
            taken['together'],
        ),
    ]


def listen() -> None:
    """Let libvirt's events reach this process; before it connects."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()

    def loop() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=loop, daemon=True).start()


def overlays(
    host: Host, emulator: Served, depths: tuple[int, ...] = (1, 5, 10, 20)
) -> dict[str, list[tuple[float, float]]]:
    """What a chain of overlays costs, as curves by what is done."""
    curves: dict[str, list[tuple[float, float]]] = {
        'boot': [],
        'write 32 MiB': [],
        'read 32 MiB': [],
        'create': [],
        'delete': [],
    }
    uuid = domains.define(host, domains.Domain('deep'))
    guest, ours = Guest(host, 'deep'), Ours.of(emulator, uuid)
    with contextlib.closing(host.connect()) as connection:
        domain, made = connection.lookupByName('deep'), 0
        for depth in depths:
            while made < depth:
                made += 1
                domain.snapshotCreateXML(
                    f'<domainsnapshot><name>d{made}</name></domainsnapshot>',
                    libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY,
                )
            for what, took in _costs(guest, ours, domain):
                curves[what].append((depth, took))
    return curves


def _costs(
    guest: Guest, ours: Ours, domain: Any
) -> Iterator[tuple[str, float]]:
    def boot() -> None:
        pathlib.Path(
            guest.host.path(f'/var/log/hawkfish-lab/{guest.name}.log')
        ).unlink(missing_ok=True)
        domain.create()
        guest.wait_booted()

    yield 'boot', seconds(boot)
    zeros = 'dd if=/dev/urandom of=/mnt/x bs=1M count=32 && sync'
    yield 'write 32 MiB', seconds(lambda: guest.run(zeros, timeout=60))
    drop = 'echo 3 > /proc/sys/vm/drop_caches; cat /mnt/x > /dev/null'
    yield 'read 32 MiB', seconds(lambda: guest.run(drop, timeout=60))
    # A chain of twenty has no room for one more while it runs.
    if domain.snapshotNum() < 20:
        yield 'create', seconds(lambda: ours.create('bench'))
        yield 'delete', seconds(lambda: ours.delete('bench'))
    domain.destroy()
