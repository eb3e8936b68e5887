# SPDX-License-Identifier: Apache-2.0
"""
What a real host says, written down for tests that have none.

``python -m tests.unit.libvirt.record`` starts a host of the lab, lets the
driver work on a few systems, and writes what libvirt tells of them into
``recorded/``.  It needs what the functional tests need, takes a minute, and
replaces all but the journals of former releases.
"""

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Iterator

import libvirt

from hawkfish_plugin import conf as configuration
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import LibvirtDriver, backing, hosts
from tests.lab import domains
from tests.lab.host import IMAGES, Host
from tests.unit.libvirt.recordings import RECORDED, Context

_SECURE = libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE


class Recorder:
    """Works on the systems of *host*, and writes down what becomes of them."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.conf = configuration.load()
        emulator = {'SUSHY_EMULATOR_LIBVIRT_URI': host.uri}
        self.driver = LibvirtDriver(self.conf, emulator, lambda: None)

    def define(self, name: str, running: bool, **fields) -> str:
        description = domains.Domain(name, boot_guest=False, **fields)
        uuid = domains.define(self.host, description)
        if running:
            with contextlib.closing(self.host.connect()) as connection:
                connection.lookupByUUIDString(uuid).create()
        return uuid

    def create(self, uuid: str, name: str, memory: bool) -> None:
        request = contract.CreateRequest(
            name, f'Of {name}', memory, contract.NEVER
        )
        made = self.driver.create(uuid, request, Context())
        assert made.created, name

    def revert(self, uuid: str, name: str) -> None:
        request = contract.RevertRequest(name, created_here=True)
        self.driver.check_revert(uuid, request)
        self.driver.revert(uuid, request, Context())

    def delete(self, uuid: str, name: str) -> None:
        self.driver.delete(uuid, name, Context())

    def write(self, case: str, uuid: str) -> None:
        """Write down what libvirt says of a system, and its inventory."""
        folder = RECORDED / case
        (folder / 'snapshots').mkdir(parents=True)
        with self._domain(uuid) as domain:
            inactive = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
            (folder / 'domain.xml').write_text(domain.XMLDesc())
            (folder / 'inactive.xml').write_text(inactive)
            for snapshot in domain.listAllSnapshots():
                path = folder / 'snapshots' / f'{snapshot.getName()}.xml'
                path.write_text(snapshot.getXMLDesc(_SECURE))
        found = self.driver.inventory(uuid, contract.Freshness.FULL)
        said = dataclasses.asdict(found)
        (folder / 'inventory.json').write_text(json.dumps(said, indent=1))

    def write_volumes(self) -> None:
        """Write down which file is backed by which."""
        with contextlib.closing(self.host.connect()) as connection:
            storage = hosts.Host(connection, hosts.Shared()).storage
            found = backing.of_all(storage, [IMAGES], {}, {}).found
        volumes = [
            [*place, volume.path, volume.below]
            for place, volume in found.items()
        ]
        text = json.dumps(sorted(volumes), indent=1)
        (RECORDED / 'volumes.json').write_text(text)

    def make_clone(self, base: str, path: str) -> None:
        """A file that is backed by *base*, and that belongs to nobody."""
        with contextlib.closing(self.host.connect()) as connection:
            storage = hosts.Host(connection, hosts.Shared()).storage
            storage.make_overlay(path, base, 'qcow2', contract.CREATE)

    @contextlib.contextmanager
    def _domain(self, uuid: str) -> Iterator[libvirt.virDomain]:
        with contextlib.closing(self.host.connect()) as connection:
            yield connection.lookupByUUIDString(uuid)


def record(recorder: Recorder) -> None:
    medium = domains.make_medium(recorder.host, 'medium.iso')
    disks = (domains.Disk(), domains.Disk(format='raw', bus='scsi'))
    uuid = recorder.define('branches', True, disks=disks, cdrom=medium)
    recorder.create(uuid, 'base', True)
    recorder.create(uuid, 'left', False)
    recorder.revert(uuid, 'base')
    recorder.create(uuid, 'right', False)
    recorder.create(uuid, 'top', True)
    recorder.make_clone(f'{IMAGES}/branches-1.qcow2', f'{IMAGES}/clone.qcow2')
    recorder.write('branches', uuid)

    uuid = recorder.define('reverted', True)
    recorder.create(uuid, 'old', False)
    recorder.create(uuid, 'new', False)
    recorder.revert(uuid, 'old')
    recorder.revert(uuid, 'new')
    recorder.write('reverted', uuid)
    recorder.delete(uuid, 'new')
    recorder.write('deleted', uuid)

    volume = (domains.Disk(volume=True),)
    uuid = recorder.define('uefi-off', False, disks=volume, firmware='uefi')
    recorder.create(uuid, 'off', False)
    recorder.write('uefi-off', uuid)

    uuid = recorder.define('internal', True)
    recorder.conf.set_override('type', 'internal', 'snapshots')
    recorder.create(uuid, 'inside', True)
    recorder.conf.clear_override('type', 'snapshots')
    recorder.write('internal', uuid)
    recorder.write_volumes()


def main() -> None:
    for old in RECORDED.iterdir():
        if not old.name.startswith('journals-'):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    with Host('record') as host:
        record(Recorder(host))


if __name__ == '__main__':
    main()
