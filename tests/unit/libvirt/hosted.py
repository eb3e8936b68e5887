# SPDX-License-Identifier: Apache-2.0
"""
A libvirtd that has files, storage pools and definitions, and no QEMU.

It answers the calls of libvirt-python that looks at files need, so that the
driver's own code is what is tested.

Long, as the calls of one libvirtd share its files, pools and definitions.
"""

import contextlib
import dataclasses
import errno
import itertools
import posixpath
import struct
import threading

import libvirt

from hawkfish_plugin.drivers.libvirt import (
    hosts,
    snapshot_xml,
    storage,
    xml,
)
from hawkfish_plugin.drivers.libvirt.deadlines import Deadlines
from hawkfish_plugin.drivers.libvirt.domains import Domain

MIB = 2**20
_VOLUME = """<volume><capacity>1073741824</capacity>
<allocation>{bytes}</allocation><physical>{bytes}</physical>
<target><path>{path}</path><permissions><owner>0</owner></permissions>
<timestamps><mtime>{time}</mtime><ctime>{changed}</ctime></timestamps></target>
{below}</volume>"""
_DISK = """<disk type='file' device='disk'><driver type='qcow2'/>
<source file='{}'/><target dev='vda'/></disk>"""
_VOLUME_DISK = """<disk type='volume' device='disk'><driver type='qcow2'/>
<source pool='{}' volume='{}'/><target dev='vda'/></disk>"""
_SNAPSHOT = """<domainsnapshot><name>{name}</name><state>shutoff</state>
<creationTime>1</creationTime><memory snapshot='no'/><disks>
<disk name='vda' snapshot='external' type='file'><source file='{overlay}'/>
</disk></disks><domain><uuid>{uuid}</uuid><devices>{disk}</devices></domain>
</domainsnapshot>"""


def error(code, number=0):
    found = libvirt.libvirtError('said so')
    found.err = (code, 0, 'said so', 2, '', '', '', number, 0)
    return found


def disk(path):
    return _DISK.format(path)


def volume_disk(pool, name):
    return _VOLUME_DISK.format(pool, name)


USED = 1 << 63 | 1 << 16
"""An entry of a qcow2 table, of what is written."""


def qcow2(*entries, cluster_bits=16, features=0, snapshots=0):
    """A qcow2 file whose first table has *entries*."""
    offset = 3 << cluster_bits
    header = struct.pack(
        '>4sIQIIQIIQQIIQQ',
        *(b'QFI\xfb', 3, 0, 0, cluster_bits, 2**30, 0, len(entries)),
        *(offset, 0, 0, snapshots, 0, features),
    )
    table = struct.pack(f'>{len(entries)}Q', *entries)
    return header.ljust(offset, b'\0') + table


@dataclasses.dataclass
class File:
    below: str | None
    bytes: int
    time: str
    data: bytes = b''
    kind: str = 'qcow2'
    changed: str = ''


class Volume:
    def __init__(self, libvirtd, folder, file_name):
        self._libvirtd = libvirtd
        self._folder, self._name = folder, file_name

    @property
    def file(self):
        files = self._libvirtd.folders.get(self._folder, {})
        if self._name not in files:
            raise error(libvirt.VIR_ERR_NO_STORAGE_VOL)
        return files[self._name]

    def name(self):
        return self._name

    def path(self):
        return posixpath.join(self._folder, self._name)

    def info(self):
        return [libvirt.VIR_STORAGE_VOL_FILE, 2**30, self.file.bytes]

    def infoFlags(self, flags):
        return [0, 2**30, len(self.file.data)]

    def delete(self):
        assert self.file
        del self._libvirtd.folders[self._folder][self._name]

    def download(self, stream, offset, length, flags=0):
        end = offset + length if length else None
        assert end is None or end <= len(self.file.data)
        stream.data = self.file.data[offset:end]

    def XMLDesc(self, flags=0):
        self._libvirtd.read.append(self.path())
        below = self.file.below
        store = (
            f'<backingStore><path>{below}</path>'
            f"<format type='{self.file.kind}'/></backingStore>"
        )
        return _VOLUME.format(
            path=self.path(),
            bytes=self.file.bytes,
            time=self.file.time,
            changed=self.file.changed or self.file.time,
            below=store if below else '',
        )


class Stream:
    data = b''

    def recv(self, most):
        part, self.data = self.data[:most], self.data[most:]
        return part

    def finish(self):
        pass


class Pool:
    def __init__(self, libvirtd, name, folder, active=True):
        self._libvirtd, self._name = libvirtd, name
        self.folder, self.active = folder, active

    def name(self):
        return self._name

    def isActive(self):
        return self.active

    def XMLDesc(self, flags=0):
        return f'<pool><target><path>{self.folder}</path></target></pool>'

    def _look(self):
        self._libvirtd.wait(self.folder)
        if not self.active:
            raise error(libvirt.VIR_ERR_OPERATION_INVALID)
        folder = posixpath.normpath(self.folder)
        return folder, self._libvirtd.folders.get(folder, {})

    def listAllVolumes(self):
        folder, names = self._look()
        return [Volume(self._libvirtd, folder, name) for name in names]

    def numOfVolumes(self):
        return len(self._look()[1])

    def info(self):
        return [libvirt.VIR_STORAGE_POOL_RUNNING, 2**40, 2**30, 2**40 - 2**30]

    def storageVolLookupByName(self, name):
        folder, names = self._look()
        if name not in names:
            raise error(libvirt.VIR_ERR_NO_STORAGE_VOL)
        return Volume(self._libvirtd, folder, name)

    def createXMLFrom(self, text, volume, flags=0):
        if volume.name() in self._libvirtd.endless:
            self._libvirtd.released.wait()
        path = posixpath.join(self.folder, xml.parse(text).findtext('name'))
        return Volume(
            self._libvirtd,
            *posixpath.split(self._libvirtd.file(path, data=volume.file.data)),
        )

    def destroy(self):
        self.active = False


class Handle:
    """What libvirt-python has of a domain that is off."""

    def __init__(self, uuid, name, disks):
        self._uuid, self._name, self.disks = uuid, name, disks
        self.snapshots = {}
        self.current = None
        self.saved = None

    def UUIDString(self):
        return self._uuid

    def name(self):
        return self._name

    def ID(self):
        return -1

    def isActive(self):
        return 0

    def isPersistent(self):
        return 1

    def hasManagedSaveImage(self):
        return int(self.saved is not None)

    def managedSaveGetXMLDesc(self, flags=0):
        return self.saved

    def XMLDesc(self, flags=0):
        return (
            f'<domain><name>{self._name}</name><uuid>{self._uuid}</uuid>'
            f'<devices>{"".join(self.disks)}</devices></domain>'
        )

    def listAllSnapshots(self, flags=0):
        return [Snapshot(self, name) for name in self.snapshots]

    def snapshotLookupByName(self, name, flags=0):
        if name not in self.snapshots:
            raise error(libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT)
        return Snapshot(self, name)

    def hasCurrentSnapshot(self, flags=0):
        return self.current is not None

    def snapshotCurrent(self, flags=0):
        return Snapshot(self, self.current)

    def snapshotCreateXML(self, text, flags=0):
        name = xml.parse(text).findtext('name')
        assert name in self.snapshots
        self.snapshots[name] = text

    def capture(self, name, held, overlay):
        """An external snapshot that holds the file *held*."""
        self.snapshots[name] = _SNAPSHOT.format(
            name=name, uuid=self._uuid, overlay=overlay, disk=disk(held)
        )
        self.current = name

    def revert_disks(self, name, overlay):
        """Note *overlay* as what grows from the snapshot *name* now."""
        root = xml.parse(self.snapshots[name])
        snapshot_xml.set_revert_disks(root, {'vda': overlay})
        self.snapshots[name] = xml.render(root)


class Snapshot:
    def __init__(self, handle, name):
        self._handle, self._name = handle, name

    def getName(self):
        return self._name

    def getXMLDesc(self, flags=0):
        return self._handle.snapshots[self._name]

    def delete(self, flags=0):
        del self._handle.snapshots[self._name]
        if self._handle.current == self._name:
            self._handle.current = None


class Libvirtd:
    """
    The daemon, and the connection to it.

    *folders* are the files by name, by their folder: a folder that is there
    twice has two paths.  Who looks into one of *hung* waits for
    ``released``, and from then on whoever asks for all pools; one of
    *unreadable* cannot be read, and the copy of a file in *endless* has no end
    before that either.  *read* are the paths of the volumes that were
    read.
    """

    def __init__(self):
        self.folders = {}
        self.pools = {}
        self.domains = []
        self.hung, self.unreadable, self.endless = set(), set(), set()
        self.uri = 'qemu+ssh://elsewhere/system'
        self.device_links = {}
        self._waiting = False
        self.read = []
        self.released = threading.Event()
        self._times = itertools.count(1)
        looks = storage.Looks(Deadlines(3.0, 1.0))
        self.host = hosts.Host(self, hosts.Shared(looks=looks))

    # What there is ---------------------------------------------------------

    def file(self, path, below=None, mib=50, data=b'', kind='qcow2'):
        """Make a file of so many MiB, or write to it; *below* is of *kind*."""
        folder, name = posixpath.split(path)
        files = self.folders.setdefault(folder, {})
        found = files.setdefault(name, File(below, 0, ''))
        found.below, found.kind, found.bytes = below, kind, int(mib * MIB)
        found.time, found.data = f'{next(self._times)}.5', data
        return path

    def link(self, path, target):
        """Let *path* be another path of the folder, or of the file."""
        if target in self.folders:
            self.folders[path] = self.folders[target]
            return
        folder, name = posixpath.split(target)
        linked = self.folders[folder][name]
        folder, name = posixpath.split(path)
        self.folders.setdefault(folder, {})[name] = linked

    def pool(self, name, folder, active=True):
        self.pools[name] = Pool(self, name, folder, active)

    def domain(self, name, *disks):
        """Define the domain *name*, which is off; a path is a file."""
        disks = [d if d.startswith('<') else disk(d) for d in disks]
        for handle in self.domains:
            if handle.name() == name:
                handle.disks = disks
                break
        else:
            uuid = f'00000000-0000-4000-8000-{len(self.domains):012}'
            handle = Handle(uuid, name, disks)
            self.domains.append(handle)
        return Domain(self.host, handle)

    def paths(self):
        return {
            f'{f}/{name}'
            for f, names in self.folders.items()
            for name in names
        }

    # What libvirt does -----------------------------------------------------

    def wait(self, folder):
        if posixpath.normpath(folder) in self.hung:
            self._waiting = True
            self.released.wait()

    def isAlive(self):
        return 1

    def getLibVersion(self):
        return 12_008_000

    def newStream(self, flags=0):
        return Stream()

    def listAllDomains(self, flags=0):
        return list(self.domains)

    def lookupByUUIDString(self, uuid):
        for handle in self.domains:
            if handle.UUIDString() == uuid:
                return handle
        raise error(libvirt.VIR_ERR_NO_DOMAIN)

    def defineXML(self, text):
        root = xml.parse(text)
        name = root.findtext('name')
        disks = [xml.render(d) for d in root.findall('devices/disk')]
        return self.domain(name, *disks).handle

    def listAllStoragePools(self, flags=0):
        # libvirt locks each pool in turn, and one is locked while a call
        # looks into it.
        if self._waiting:
            self.released.wait()
        return [pool for pool in self.pools.values() if pool.active]

    def storagePoolLookupByName(self, name):
        if name not in self.pools:
            raise error(libvirt.VIR_ERR_NO_STORAGE_POOL)
        return self.pools[name]

    def storagePoolLookupByUUIDString(self, uuid):
        raise error(libvirt.VIR_ERR_NO_STORAGE_POOL)

    def storagePoolLookupByTargetPath(self, folder):
        for pool in self.listAllStoragePools():
            if pool.folder == folder:
                return pool
        raise error(libvirt.VIR_ERR_NO_STORAGE_POOL)

    def storagePoolCreateXML(self, text, flags=0):
        root = xml.parse(text)
        folder = root.findtext('target/path')
        plain = posixpath.normpath(folder)
        self.wait(folder)
        if plain in self.unreadable:
            raise error(libvirt.VIR_ERR_SYSTEM_ERROR, errno.EACCES)
        if plain in self.paths():
            raise error(libvirt.VIR_ERR_SYSTEM_ERROR, errno.ENOTDIR)
        if plain not in self.folders:
            raise error(libvirt.VIR_ERR_SYSTEM_ERROR, errno.ENOENT)
        return Pool(self, root.findtext('name'), folder)

    def getURI(self):
        return self.uri

    def storageVolLookupByPath(self, path):
        # It follows the links of devices.
        path = self.device_links.get(path, path)
        folder, name = posixpath.split(path)
        for pool in self.listAllStoragePools():
            if pool.folder == folder:
                return pool.storageVolLookupByName(name)
        raise error(libvirt.VIR_ERR_NO_STORAGE_VOL)


@contextlib.contextmanager
def libvirtd():
    """A daemon; what hangs is released at the end."""
    made = Libvirtd()
    try:
        yield made
    finally:
        made.released.set()
