# SPDX-License-Identifier: Apache-2.0
"""What the XML of recorded snapshots says."""

import pytest

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    parsed,
    snapshot_xml,
    snapshots,
    xml,
)
from tests.unit.libvirt.recordings import CASES, Case


@pytest.mark.parametrize('case', CASES)
def test_records(case):
    """The records of a recorded system are those that its host gave."""
    recorded = Case(case)

    told = recorded.inventory['snapshots']
    assert recorded.records() == [contract.Snapshot(**one) for one in told]


def test_external_with_memory():
    """A snapshot with memory has an image, and an overlay for each disk."""
    top = Case('branches').one('top')

    assert top.memory_file
    assert top.memory_file.endswith('.mem')
    assert top.own_files == (top.memory_file,)
    assert set(top.external) == {'vda', 'sda'}
    assert [disk.target for disk in top.disks] == ['vda', 'sda']
    assert [disk.target for disk in top.captured] == ['vda', 'sda', 'sdb']
    assert top.overlays == set(top.external.values())
    assert top.overlays < top.files | top.overlays
    assert top.memory_file not in top.files


def test_media_are_named():
    """A medium is a file of the snapshot, and no disk that it captured."""
    base = Case('branches').one('base')
    medium = '/var/lib/libvirt/images/medium.iso'

    assert medium in base.files
    assert medium not in {disk.path for disk in base.disks}


def test_internal():
    """An internal snapshot has no file of its own."""
    inside = Case('internal').one('inside')

    assert not inside.record.external
    assert inside.record.memory
    assert (inside.own_files, inside.disks) == ((), ())
    assert not inside.overlays


def test_a_pool_volume_is_named_by_its_path():
    """What ``finish`` made of a pool volume is a file that can be reverted."""
    (disk,) = Case('uefi-off').one('off').disks

    assert disk.kind == 'file'
    assert disk.path == '/var/lib/libvirt/images/uefi-off-1.qcow2'


def test_damaged_by_an_interrupted_merge():
    """The state that an interrupted merge overwrites is told as damaged."""
    case = Case('reverted')
    root = case.root('old')
    disk = root.find('disks/disk')
    disk.append(xml.parse('<snapshotDeleteInProgress/>'))
    case.seen[:] = [parsed.parse(root), case.one('new')]

    damaged = {r.name for r in case.records() if r.damaged}

    assert damaged == {'new'}
    assert snapshot_xml.end_merge(root)
    assert not parsed.parse(root).merging


def test_a_text_is_parsed_once():
    """A text that was parsed before is not parsed again; another one is."""
    texts = [
        xml.render(Case('reverted').root(name)) for name in ('old', 'new')
    ]
    cache = parsed.ParsedSnapshots()

    first = cache.read(texts[0])

    assert cache.read(texts[0]) is first
    assert cache.read(texts[1]) is not first
    changed = texts[0].replace('Of old', 'Of another')
    assert cache.read(changed).record.description == 'Of another'


@pytest.mark.parametrize(
    'body',
    [
        '',
        '<state>unheard of</state>',
        "<memory snapshot='external'/>",
        '<parent/><active>0</active><inactiveDomain/>',
        "<disks><disk name='vda' snapshot='external'/></disks><domain/>",
        '<disks><disk/></disks><domain><devices><disk/></devices></domain>',
        "<disks><disk name='vda' snapshot='external' type='network'/></disks>"
        "<domain><os><nvram/></os><devices><disk type='volume'><source/>"
        "<target/></disk><disk type='nvme'><source/></disk><tpm/></devices>"
        '</domain>',
    ],
)
def test_a_snapshot_of_odd_shape(body):
    """What others define is listed, whatever it lacks."""
    text = f'<domainsnapshot><name>s</name>{body}</domainsnapshot>'

    seen = parsed.parse(xml.parse(text))

    assert [r.name for r in snapshots.records([seen], None)] == ['s']
    assert not any(filter(None, (*seen.own_files, *seen.paths)))
