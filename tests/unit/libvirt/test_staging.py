# SPDX-License-Identifier: Apache-2.0
"""Files that are staged for an export: read, kept, and not answered for."""

import contextlib
import errno
import hashlib
import os
import shutil

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.drivers.libvirt import export, hosts, staging
from hawkfish_plugin.drivers.libvirt.deadlines import Deadlines
from tests.unit.libvirt import hosted

SOURCE, FOLDER = '/images/disk.raw', '/images/hawkfish-0123456789ab.export'


@pytest.fixture
def libvirtd():
    with hosted.libvirtd() as made:
        made.file(SOURCE, data=b'data')
        made.folders[FOLDER] = {}
        yield made


@pytest.fixture
def staged(libvirtd, monkeypatch):
    """What may wait for hours waits for a moment here."""
    monkeypatch.setattr(staging, '_COPY_SECONDS', 0.1)
    shared = hosts.Shared(
        libvirtd.host.storage._looks, changes=Deadlines(0.1, 0.1)
    )
    return staging.Staging(hosts.Host(libvirtd, shared), FOLDER)


def test_a_copy(staged, libvirtd):
    """The file is there, and is read as it was written."""
    staged.clone('disk', SOURCE, 'raw', 'raw')

    assert staged.read('disk', 1, 2) == b'at'


def test_a_copy_that_hangs_has_a_deadline(staged, libvirtd):
    """Whoever has asked for it is told what does not answer."""
    libvirtd.endless.add('disk.raw')

    with pytest.raises(exceptions.NotAnswering) as caught:
        staged.clone('disk', SOURCE, 'raw', 'raw')

    assert caught.value.args[0] == f'{FOLDER}/disk'


def test_a_read_that_hangs_has_a_deadline(staged, libvirtd):
    """So no thread of the web server is lost to it."""
    staged.clone('disk', SOURCE, 'raw', 'raw')
    libvirtd.hung.add(FOLDER)

    with pytest.raises(exceptions.NotAnswering) as caught:
        staged.read('disk', 0, 4)

    assert caught.value.args[0] == f'{FOLDER}/disk'


# By their paths -------------------------------------------------------------

LOCAL = [
    'qemu:///system',
    'qemu+unix:///system?socket=/run/lab.sock',
]
THEIRS, OURS = b'said by libvirt', b'read right here'


class Here:
    """
    A staged file that has a path on this machine too.

    What libvirt says is in it differs, so that a test can tell who has read.
    """

    def __init__(self, libvirtd, folder, uri):
        libvirtd.uri = uri
        self.libvirtd, self.path = libvirtd, folder / 'disk'
        self.path.write_bytes(OURS)
        libvirtd.file(str(self.path), data=THEIRS)
        self.staging = staging.Staging(libvirtd.host, str(folder))
        self.told()

    def told(self):
        """Let libvirt tell the times and the size that the file has now."""
        file = self.libvirtd.folders[str(self.path.parent)]['disk']
        found = self.path.stat()
        file.bytes = found.st_size
        file.time, file.changed = (
            f'{ns // 10**9}.{ns % 10**9:09}'
            for ns in (found.st_mtime_ns, found.st_ctime_ns)
        )

    def read(self):
        return self.staging.read('disk', 0, len(OURS))


@pytest.fixture(params=LOCAL)
def here(libvirtd, tmp_path, request):
    folder = tmp_path / 'hawkfish-0123456789ab.export'
    folder.mkdir()
    return Here(libvirtd, folder, request.param)


def mirrored(here):
    """With all that a mirror can have: the bytes, the size and the times."""
    copy = here.path.with_name('copy')
    shutil.copy2(here.path, copy)
    copy.rename(here.path)


def linked(here):
    here.path.rename(here.path.with_name('target'))
    here.path.symlink_to('target')
    here.told()


def piped(here):
    here.path.unlink()
    os.mkfifo(here.path)
    here.told()


def moved(here):
    here.libvirtd.uri = 'qemu+ssh://elsewhere/system'


ELSEWHERE = [mirrored, linked, piped, moved]


def test_the_very_file_is_read_by_its_path(here):
    """As that is faster."""
    assert here.read() == OURS


@pytest.mark.parametrize('change', ELSEWHERE)
def test_what_may_be_another_file_is_not(here, change):
    """Whatever bytes it has; and nothing of it is waited for."""
    change(here)

    assert here.read() == THEIRS


@pytest.fixture
def synced(monkeypatch):
    """The paths of what was written to the disk."""
    sync, paths = os.fsync, list[str]()

    def note(file):
        paths.append(os.readlink(f'/proc/self/fd/{file}'))
        sync(file)

    monkeypatch.setattr(os, 'fsync', note)
    return paths


def member(here):
    part = export._Part('disks/disk', manifest.DISK, target='vda')
    return export._member(here.staging, part, lambda: None)


def test_what_has_no_checksum_yet_is_on_the_disk(here, synced):
    """And so are its folder, which is new, and the name of that."""
    assert member(here).sha256 is None

    folder = here.path.parent
    assert synced == [str(here.path), str(folder), str(folder.parent)]


@pytest.mark.parametrize('change', ELSEWHERE)
def test_what_cannot_be_written_has_its_checksum(here, change, synced):
    """Of the bytes that there are now: later they may be others."""
    change(here)

    assert member(here).sha256 == hashlib.sha256(THEIRS).hexdigest()
    assert not synced


def test_a_disk_that_does_not_take_it_fails_the_export(here, monkeypatch):
    """Its file may have anything in it."""

    def fail(_):
        raise OSError(errno.EIO, 'Input/output error')

    monkeypatch.setattr(os, 'fsync', fail)

    with pytest.raises(exceptions.OperationFailed, match='Input/output'):
        member(here)


def test_nothing_stays_open(here):
    """However it was read."""
    before = len(os.listdir('/proc/self/fd'))

    for change in (lambda _: None, mirrored, piped):
        change(here)
        with contextlib.suppress(exceptions.HawkFishError):
            here.read()

    assert len(os.listdir('/proc/self/fd')) == before
