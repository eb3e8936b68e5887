# SPDX-License-Identifier: Apache-2.0
"""
A hypervisor without guests: libvirt's own test driver.

Its domains are defined, started, saved and have snapshots as others do; but
it has no files, so those are a set of paths.
"""

import contextlib
import dataclasses
import itertools
import posixpath
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import libvirt

from hawkfish_plugin.drivers.libvirt import domains, hosts, xml

T = TypeVar('T')

_numbers = itertools.count(1)


@dataclasses.dataclass
class Files:
    """
    The storage of a host as a set of paths; *written* are the overlays that
    hold data, *removed* is what was there, and *data* what can be read.
    """

    connection: libvirt.virConnect
    present: set[str] = dataclasses.field(default_factory=set)
    written: set[str] = dataclasses.field(default_factory=set)
    removed: list[str] = dataclasses.field(default_factory=list)
    data: dict[str, bytes] = dataclasses.field(default_factory=dict)

    def ask(self, folder: str, call: Callable[[], T]) -> T:
        return call()

    def look(self, folder: str, use: Callable[[None], T]) -> T:
        # Which file is backed by which is not known here.
        return use(None)

    def exists(self, path: str) -> bool:
        return path in self.present

    def is_written(self, path: str) -> bool:
        return path in self.written

    def path_of(self, disk: xml.Disk) -> str | None:
        return disk.path

    file_of = path_of

    def files_of(self, disks: Iterable[xml.Disk]) -> set[str]:
        return {disk.path for disk in disks if disk.path}

    def read(self, path: str, most: int) -> bytes | None:
        data = self.data.get(path)
        return None if data is None else data[:most]

    def make_overlay(
        self, path: str, base: str, base_format: str, operation: str
    ) -> None:
        self.present.add(path)

    def remove(self, path: str) -> None:
        if path in self.present:
            self.present.remove(path)
            self.removed.append(path)

    def place(self, path: str) -> str:
        return path

    def listing(self, folder: str) -> list[str]:
        return [p for p in self.present if posixpath.dirname(p) == folder]

    def chains(self, paths: Iterable[str]) -> set[str]:
        return set(paths)


class Hypervisor:
    """libvirt's test driver; *host* is it as the driver sees it."""

    def __init__(self) -> None:
        self.connection = libvirt.open('test:///default')
        self.shared = hosts.Shared()
        self.host = hosts.Host(self.connection, self.shared)
        self.files = Files(self.connection)
        self.host.storage = self.files  # type: ignore[assignment]

    @contextlib.contextmanager
    def domain(
        self,
        uuid: str,
        _operation: str,
        check_active: Callable[[], None] = lambda: None,
    ) -> Iterator[domains.Domain]:
        """As ``connections.Hypervisor`` has it."""
        host = hosts.Host(self.connection, self.shared, check_active)
        host.storage = self.files  # type: ignore[assignment]
        yield domains.find(host, uuid)

    def define(self, *disks: str) -> domains.Domain:
        """A domain with *disks*, which are files."""
        self.files.present |= set(disks)
        text = definition(f'node-{next(_numbers)}', disks)
        return domains.define(self.host, text)

    def move(self, domain: domains.Domain, *disks: str) -> None:
        """Let the next start of *domain* be on *disks*."""
        text = definition(domain.name, disks, domain.uuid)
        domains.define(self.host, text)

    def close(self) -> None:
        for domain in domains.all_of(self.host):
            if not domain.name.startswith('node-'):
                continue
            if domain.is_active:
                domain.handle.destroy()
            domain.handle.undefineFlags(
                libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            )
        self.connection.close()


def definition(name: str, disks: Iterable[str], uuid: str = '') -> str:
    """A domain of the test driver with *disks*, as XML."""
    root = xml.parse(
        "<domain type='test'><name/><memory>8192</memory>"
        '<os><type>hvm</type></os><devices/></domain>'
    )
    root.find('name').text = name
    if uuid:
        xml.ElementTree.SubElement(root, 'uuid').text = uuid
    for letter, path in zip('abc', disks, strict=False):
        root.find('devices').append(
            xml.parse(
                "<disk type='file' device='disk'>"
                "<driver name='qemu' type='qcow2'/>"
                f"<source file='{path}'/>"
                f"<target dev='vd{letter}' bus='virtio'/></disk>"
            )
        )
    return xml.render(root)


def paths(domain: domains.Domain, inactive: bool = False) -> list[str]:
    """The files of the disks of *domain*."""
    found = xml.disks(domain.again().definition(inactive=inactive))
    return [disk.path or '' for disk in found]
