# SPDX-License-Identifier: Apache-2.0
"""
Real libvirtd, QEMU and guests, behind the real emulator.

A host of each release is started once in a process; a test gets systems of
its own, or the shared booted guest, and finds no file of a snapshot left at
its end.
Where libvirtd does not answer after a test, that test is an error, and the
next one gets a new host.
"""

import contextlib
import ctypes
import itertools
import os
import pathlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import libvirt
import pytest

from hawkfish_plugin import conf
from hawkfish_plugin.drivers.libvirt import LibvirtDriver
from tests.functional.emulator import Emulator
from tests.lab import booted, domains, roots
from tests.lab.host import IMAGES, Host
from tests.lab.shell import Guest

_numbers = itertools.count(1)
# So long before pytest gives up a test.
_WEDGED_SECONDS = 60.0
_ANSWER_SECONDS = 60.0
# As umount2(2) has it.
_DETACH_MOUNT = 2

# A domain that costs nearly nothing: it sits in its firmware when started.
SMALL: dict[str, Any] = {
    'boot_guest': False,
    'agent': False,
    'memory_mib': 32,
    'disks': (domains.Disk(size_mib=16, formatted=False),),
}


# Of its libvirt only the internal snapshots are of interest, unless
# OS_SNAPSHOTS__TYPE says auto, or external.
KIND = 'OS_SNAPSHOTS__TYPE'
INTERNAL = 'debian12' if KIND not in os.environ else ''


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    left_out = [item for item in items if _is_left_out(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _is_left_out(item: pytest.Item) -> bool:
    callspec = getattr(item, 'callspec', None)
    release = callspec and callspec.params.get('host')
    return release == INTERNAL and bool(item.get_closest_marker('once'))


@pytest.fixture(scope='session', params=roots.wanted())
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    # libvirt's client prints every error that it raises.
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == INTERNAL:
            patch.setenv(KIND, 'internal')
        with Host(_host_name(request.param), request.param) as started:
            yield started


def _host_name(release: str) -> str:
    # Each process of pytest-xdist has hosts of its own.
    worker = os.environ.get('PYTEST_XDIST_WORKER')
    return f'test-{release}-{worker}' if worker else f'test-{release}'


@pytest.fixture(autouse=True)
def _sound(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let no test suffer from the libvirtd that another one has wedged."""
    if 'host' not in request.fixturenames:
        yield
        return
    host = request.getfixturevalue('host')
    # Nothing else interrupts who waits within libvirt.
    watch = threading.Timer(_timeout(request) - _WEDGED_SECONDS, host.kill)
    watch.daemon = True
    watch.start()
    yield
    watch.cancel()
    if not host.is_sound(_ANSWER_SECONDS):
        host.stop()
        host.start()
        pytest.fail(f'libvirtd does not answer after {request.node.nodeid}')


def _timeout(request: pytest.FixtureRequest) -> float:
    marker = request.node.get_closest_marker('timeout')
    given = marker.args[0] if marker else request.config.getini('timeout')
    return float(given)


@pytest.fixture(scope='session')
def shared_emulator(
    host: Host, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Emulator]:
    served = Emulator(tmp_path_factory.mktemp('emulator'), host.uri)
    yield served
    served.stop()


@pytest.fixture
def emulator(shared_emulator: Emulator) -> Emulator:
    """The stock emulator; a test that kills it leaves it to the next one."""
    if not shared_emulator.is_running:
        shared_emulator.stop()
        shared_emulator.start()
    return shared_emulator


@pytest.fixture
def served(folder: pathlib.Path, host: Host) -> Iterator[Emulator]:
    """A stock emulator of the test's own."""
    made = Emulator(folder, host.uri)
    made.start()
    yield made
    made.stop()


class System:
    """A domain of the lab, seen from all sides."""

    def __init__(self, host: Host, domain: domains.Domain) -> None:
        self.host = host
        self.description = domain
        self.name = domain.name
        self.uuid = domains.define(host, domain)
        self.guest = Guest(host, domain.name)
        self._start = booted.Start(host, domain)
        self._connection: Any = None

    @property
    def domain(self) -> Any:
        # A client without an event loop learns of a dead daemon by trying.
        with contextlib.suppress(libvirt.libvirtError, AttributeError):
            return self._connection.lookupByName(self.name)
        self._connection = self.host.connect()
        return self._connection.lookupByName(self.name)

    def boot(self) -> 'System':
        self._start.run()
        return self

    def sources(self) -> list[str]:
        """The disk sources of the definition, as libvirt has it."""
        text = self.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        disks = re.findall(
            r"<disk type='\w+' device='disk'.*?</disk>", text, re.DOTALL
        )
        return [
            re.search(r"<source (?:file|pool)='([^']*)'", disk)[1]
            for disk in disks
        ]

    def write(self, text: str) -> None:
        """Put *text* on every disk of the running guest."""
        for folder in self.folders():
            self.guest.run(f'echo {text} > {folder}/data && sync')

    def read(self) -> set[str]:
        """What the running guest reads on its disks."""
        return {
            self.guest.run(f'cat {folder}/data').strip()
            for folder in self.folders()
        }

    def folders(self) -> list[str]:
        count = len(self.description.disks)
        return ['/mnt' if n == 1 else f'/mnt{n}' for n in range(1, count + 1)]

    def leftovers(self) -> list[str]:
        """Files in the image folder that were not there at the start."""
        own = re.compile(rf'{re.escape(self.name)}-\d+\.(qcow2|raw)$')
        folder = self.host.path(IMAGES)
        return sorted(
            path.name
            for path in folder.iterdir()
            if (
                path.name.startswith(f'{self.name}-')
                or path.name.startswith('hawkfish-')
            )
            and not own.match(path.name)
        )

    def orphans(self) -> list[str]:
        """Those of them that neither the domain nor a snapshot names."""
        domain = self.domain
        known = domain.XMLDesc(0) + domain.XMLDesc(
            libvirt.VIR_DOMAIN_XML_INACTIVE
        )
        known += ''.join(s.getXMLDesc() for s in domain.listAllSnapshots())
        return [name for name in self.leftovers() if name not in known]

    def remove(self) -> None:
        """Forget the domain, its snapshots and its files."""
        if self.domain.isActive():
            self.domain.destroy()
        self.domain.undefineFlags(
            libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
            | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        )
        for path in self.host.path(IMAGES).glob(f'{self.name}-*'):
            path.unlink()
        for path in self.host.path(IMAGES).glob('hawkfish-*'):
            path.unlink()


@pytest.fixture
def make_system(host: Host) -> Iterator[Callable[..., System]]:
    """Define systems that are gone after the test."""
    made = []

    def make(**fields: Any) -> System:
        name = f'node-{next(_numbers)}'
        made.append(System(host, domains.Domain(name, **fields)))
        return made[-1]

    yield make
    for system in made:
        system.remove()


@pytest.fixture(scope='session')
def external(host: Host) -> bool:
    """Whether the emulators make external snapshots by default."""
    return host.release != INTERNAL


@pytest.fixture
def imports(host: Host) -> Iterator[None]:
    """The systems called imported-... are gone at the end, and their files."""
    yield
    flags = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    flags |= libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    with contextlib.closing(host.connect()) as connection:
        for domain in connection.listAllDomains():
            if domain.name().startswith('imported-'):
                if domain.isActive():
                    domain.destroy()
                domain.undefineFlags(flags)
    for path in host.path(IMAGES).glob('imported-*'):
        path.unlink()


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path


@pytest.fixture(scope='session')
def driver(host: Host) -> LibvirtDriver:
    """The driver in this process, as far as no emulator is needed."""
    settings = {'SUSHY_EMULATOR_LIBVIRT_URI': host.uri}
    made = LibvirtDriver(conf.load(), settings, lambda: None)
    # libvirt's events reach this process from now on.
    made.systems()
    return made


@pytest.fixture
def mount(folder):
    """Mount a FUSE that nobody serves; its *owner* alone could look."""
    with contextlib.ExitStack() as stack:
        libc = ctypes.CDLL(None, use_errno=True)
        node = folder / 'fuse'
        os.mknod(node, 0o020600, os.makedev(10, 229))

        def make(target, owner):
            target.mkdir()
            stack.callback(target.rmdir)
            device = os.open(node, os.O_RDWR)
            options = (
                f'fd={device},rootmode=40000,user_id={owner},group_id={owner}'
            )
            failed = libc.mount(
                b'sshfs', bytes(target), b'fuse.sshfs', 0, options.encode()
            )
            assert not failed, os.strerror(ctypes.get_errno())
            stack.callback(libc.umount2, bytes(target), _DETACH_MOUNT)
            if owner:
                stack.callback(os.close, device)
            else:
                # Its process has died.
                os.close(device)

        yield make
