# SPDX-License-Identifier: Apache-2.0
"""A bundle on its way: its checksums, in whatever ranges it is fetched."""

import contextlib
import hashlib
import random

import pytest

from hawkfish_plugin import db, exceptions, sending
from hawkfish_plugin.bundles import archive, checksums, manifest
from hawkfish_plugin.bundles.manifest import Lab, LeftOut, Manifest, Member
from hawkfish_plugin.exports import Exports, Owner
from tests import tars

WINDOW, PART = 2**6, 2**8
# Nothing, less than a window, whole parts, and what ends within one.
SIZES = {'vda': 0, 'vdb': 5, 'vdc': 3 * PART, 'vdd': 4 * PART + WINDOW + 7}
MEMORY = 2 * PART + 1


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(sending, '_WINDOW_BYTES', WINDOW)
    for module in (checksums, tars):
        monkeypatch.setattr(module, 'PART_BYTES', PART)


class Driver:
    """Has the staged *files*, by folder and name; may *fail* at a read."""

    def __init__(self, files):
        self.files = files
        self.fails = lambda: False

    def read_staged(self, folder, name, offset, length):
        if self.fails():
            raise exceptions.ExportFileMissing(name)
        data = self.files[folder, name][offset : offset + length]
        assert len(data) == length
        return data


def system(number):
    """A system with random content, the sizes of whose files are tricky."""
    drawn = random.Random(number)
    sizes = {f'{target}.qcow2': size for target, size in SIZES.items()}
    sizes['memory.image'] = MEMORY
    files = {name: drawn.randbytes(size) for name, size in sizes.items()}
    roles = dict.fromkeys(files, manifest.DISK) | {
        'memory.image': manifest.MEMORY
    }
    early = Member('domain.xml', manifest.DOMAIN, 3, sha('xml'))
    members = [Member(n, roles[n], len(d), None) for n, d in files.items()]
    files['domain.xml'] = b'xml'
    source = manifest.Source(f'vm{number}', f'uuid{number}', 's', 1, 'Off')
    left_out = [LeftOut('floppy', 'media are not captured')]
    return Manifest(1, source, (early, *members), left_out), files


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Exported:
    """An export in a database, as each process that sends it sees it."""

    def __init__(self, folder, bundle, files):
        self._folder, self.driver = folder, Driver(files)
        folders = sorted({folder for folder, _ in files})
        self.restart()
        self.id = self.table.add(1, Owner('u'), folders, bundle, 9e9)
        self.size = archive.Archive(bundle).size

    def restart(self):
        """Begin anew, with what is in the database alone."""
        self.table = Exports(db.Database(self._folder))

    def sending(self, begin, end):
        found = self.table.get(Owner('u'), self.id)
        made = sending.Sending(self.driver, self.table, found)
        return made.parts(begin, end)

    def fetch(self, begin, end):
        return b''.join(self.sending(begin, end))


@pytest.fixture(params=['system', 'group'])
def exported(request, tmp_path):
    parts = [system(number) for number in (1, 2)]
    parts = parts[: 1 if request.param == 'system' else 2]
    bundle = parts[0][0]
    if request.param == 'group':
        bundle = Lab.of(1, 'lab', [part for part, _ in parts])
    files = {
        (f'/{number}', name): data
        for number, (_, found) in enumerate(parts)
        for name, data in found.items()
    }
    return Exported(tmp_path / 'state', bundle, files)


def check(content):
    """Assert that a bundle is what it says."""
    described, files = tars.unpacked(content)
    members = [m for s in described['Systems'] for m in s['Members']]
    tars.check(members, files)


def whole(exported):
    """What the bundle is; nothing is known of it afterwards."""
    content = exported.fetch(0, exported.size)
    with exported.table._db.transaction() as connection:
        connection.execute('DELETE FROM export_parts')
    return content


@pytest.mark.parametrize('seed', range(8))
def test_ranges_in_any_order(exported, seed):
    """
    Each has the bytes of the whole, whoever has sent what before.

    Between them processes die, clients leave, and files cannot be read.
    """
    content = whole(exported)
    check(content)
    drawn = random.Random(seed)
    for _ in range(30):
        begin = drawn.randrange(exported.size)
        end = drawn.choice(
            [exported.size, drawn.randint(begin, exported.size)]
        )
        what = drawn.random()
        if what < 0.2:
            left = exported.sending(begin, end)
            for _ in zip(range(drawn.randrange(5)), left, strict=False):
                pass
            left.close()
        elif what < 0.3:
            exported.driver.fails = lambda: drawn.random() < 0.2
            with contextlib.suppress(exceptions.ExportFileMissing):
                exported.fetch(begin, end)
            exported.driver.fails = lambda: False
        elif what < 0.5:
            exported.restart()
        else:
            assert exported.fetch(begin, end) == content[begin:end]


@pytest.mark.parametrize('at', ['begin', 'window', 'part', 'late'])
def test_the_end_alone_after_a_range_that_began_late(exported, at):
    """A part that was not sent whole is no part whose checksum is known."""
    content = whole(exported)
    first = next(
        index
        for index in range(0, exported.size, archive.BLOCK)
        if exported.driver.files['/0', 'vdd.qcow2'][:16]
        == content[index : index + 16]
    )
    begin = (
        first
        + {
            'begin': 0,
            'window': WINDOW,
            'part': PART,
            'late': PART + 3,
        }[at]
    )

    assert (
        exported.fetch(begin, begin + 2 * PART)
        == (content[begin : begin + 2 * PART])
    )
    exported.restart()

    assert (
        exported.fetch(exported.size - 1500, exported.size)
        == (content[-1500:])
    )


def test_what_was_lost_of_the_database(exported, monkeypatch):
    """Is read again; the bundle is the same."""
    content = whole(exported)

    def fail(*_):
        raise exceptions.StateUnavailable('full')

    monkeypatch.setattr(exported.table, 'note_digest', fail)

    assert exported.fetch(0, exported.size) == content
    assert exported.fetch(700, exported.size) == content[700:]


def test_an_export_that_was_deleted_meanwhile_notes_nothing(exported):
    """No number is given twice, but no row is to be left."""
    parts = exported.sending(0, exported.size)
    next(parts)
    exported.table.forget(exported.id)

    for _ in parts:
        pass

    assert not exported.table.digests(exported.id)
