# SPDX-License-Identifier: Apache-2.0
"""
The export of a snapshot, against qemu-img and curl.

Both sides copy the disk of the snapshot to one flat file, and send that over
the loopback to curl.  One emulator can read the files of the host, as if it
ran there; the other one gets them by libvirt's streams, whose own share is
what virsh takes for the same.  What the memory of the emulators grows by is
seen meanwhile.
"""

import contextlib
import functools
import http.server
import os
import pathlib
import subprocess
import threading
from collections.abc import Iterator

from tests.bench.measure import Row, Virsh, in_turn
from tests.bench.operations import Ours
from tests.lab import domains
from tests.lab.host import IMAGES, Host
from tests.served import Served

ROUNDS = 3
# What the disk holds.
_MIB = int(os.environ.get('HAWKFISH_BENCH_BUNDLE_MIB', '4096'))
_NAME, _COPY = 'bundled', f'{IMAGES}/copied.qcow2'
_SECONDS = 600.0
# As the issue has it: 0.8 of the speed, and so much memory.
_MOST_RATIO, _MOST_MEMORY_MIB = 1 / 0.8, 64.0
_LOOK_SECONDS = 0.05


class Exporting(Ours):
    """What a client does to get a bundle."""

    def fetch(self, name: str) -> None:
        action = f'{self._uri}/{name}/Actions/HawkFishSnapshot.Export'
        accepted = self._session.post(action, json={}, timeout=60)
        made = self._emulator.wait(accepted, _SECONDS).json()
        _curl(self._emulator.url + made['DataURI'])
        uri = self._emulator.url + made['@odata.id']
        assert self._session.delete(uri, timeout=60).status_code == 204


def _curl(url: str) -> None:
    command = ['curl', '-sSf', '--noproxy', '*', '-o', '/dev/null', url]
    subprocess.run(command, check=True)


class Plain:
    """qemu-img, run where the daemon runs, and a server of files."""

    def __init__(self, host: Host, source: str, url: str) -> None:
        self._host, self._source, self._url = host, source, url

    def fetch(self) -> None:
        _qemu_img(
            self._host, 'convert', '-U', '-O', 'qcow2', self._source, _COPY
        )
        _curl(f'{self._url}/{pathlib.Path(_COPY).name}')
        self._host.path(_COPY).unlink()


class Streamed:
    """libvirt's copy and download of the volume *source*, by virsh."""

    def __init__(self, host: Host, source: str) -> None:
        self._virsh = Virsh(host)
        self._source = pathlib.Path(source).name
        self._pool = ('--pool', 'default')

    def fetch(self) -> None:
        name = pathlib.Path(_COPY).name
        self._virsh('pool-refresh', 'default')
        self._virsh('vol-clone', *self._pool, self._source, name)
        self._virsh('vol-download', *self._pool, name, '/dev/null')
        self._virsh('vol-delete', *self._pool, name)


def _qemu_img(host: Host, *words: str) -> None:
    subprocess.run(['chroot', str(host.root), 'qemu-img', *words], check=True)


@contextlib.contextmanager
def _serving(folder: pathlib.Path) -> Iterator[str]:
    """Serve the files of *folder*; gives the URL."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()


class _Memory(threading.Thread):
    """The most that a process grows by, in MiB, until it is told to end."""

    def __init__(self, emulator: Served) -> None:
        super().__init__(daemon=True)
        process = emulator.process
        assert process is not None
        self._status = pathlib.Path(f'/proc/{process.pid}/status')
        self._over = threading.Event()
        self._idle = self._now()
        self.most = 0.0
        self.start()

    def _now(self) -> float:
        for line in self._status.read_text().splitlines():
            if line.startswith('VmRSS:'):
                return int(line.split()[1]) / 1024
        return 0.0

    def run(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            self.most = max(self.most, self._now() - self._idle)

    def end(self) -> float:
        self._over.set()
        self.join()
        return self.most


@contextlib.contextmanager
def beside(host: Host, folder: pathlib.Path) -> Iterator[Served]:
    """
    An emulator that can read the exports of *host*, as both know their place.

    Its state is in *folder*.
    """
    shared = folder / 'shared'
    host.path(str(shared)).mkdir(parents=True)
    shared.symlink_to(host.path(str(shared)))
    emulator = Served(folder, host.uri, OS_BACKUP__EXPORT_DIR=str(shared))
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()


def measure(host: Host, emulator: Served, folder: pathlib.Path) -> list[Row]:
    disk = domains.Disk(size_mib=_MIB + 1024, formatted=False)
    domain = domains.Domain(
        _NAME, boot_guest=False, agent=False, memory_mib=32, disks=(disk,)
    )
    uuid = domains.define(host, domain)
    path = domains.disk_path(domain, 1)
    _fill(host, path)
    streaming = Exporting.of(emulator, uuid)
    streaming.create('s')
    with beside(host, folder) as near, _serving(host.path(IMAGES)) as url:
        reading = Exporting.of(near, uuid)
        growing = [_Memory(one) for one in (emulator, near)]
        taken = in_turn(
            ROUNDS,
            lambda: reading.fetch('s'),
            lambda: streaming.fetch('s'),
            Plain(host, path, url).fetch,
            Streamed(host, path).fetch,
        )
        grown = max(one.end() for one in growing)
    streaming.delete('s')
    with contextlib.closing(host.connect()) as connection:
        connection.lookupByName(_NAME).undefine()
    for path in host.path(IMAGES).glob(f'{_NAME}-*'):
        path.unlink()
    read, streamed, plain, virsh = taken
    export, other = f'export of {_MIB} MiB', 'qemu-img convert, and curl'
    return [
        Row(export, other, read, plain, _MOST_RATIO),
        Row(f'{export}, by streams', other, streamed, plain, _MOST_RATIO),
        Row(
            f'{export}, by streams',
            'virsh vol-clone, vol-download',
            streamed,
            virsh,
        ),
        Row(
            'memory of the emulator meanwhile',
            'its bound',
            [grown],
            [_MOST_MEMORY_MIB],
            1.0,
            'MiB',
        ),
    ]


def _fill(host: Host, path: str) -> None:
    """Let the disk hold data that no format can leave out."""
    raw = host.path('/tmp/bundled.raw')
    part = os.urandom(64 * 2**20)
    with raw.open('wb') as file:
        for _ in range(_MIB // 64):
            file.write(part)
        file.truncate((_MIB + 1024) * 2**20)
    _qemu_img(
        host, 'convert', '-f', 'raw', '-O', 'qcow2', '/tmp/bundled.raw', path
    )
    raw.unlink()
