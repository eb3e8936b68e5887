# SPDX-License-Identifier: Apache-2.0
"""What a delete makes of definitions, and the domain that merges for it."""

import pytest

from hawkfish_plugin.drivers.libvirt import (
    filenames,
    offline,
    parsed,
    snapshot_xml,
    xml,
)
from tests.unit.libvirt.recordings import Case

IMAGES = '/var/lib/libvirt/images'
BASE = f'{IMAGES}/branches-1.qcow2'
# What "right" has captured, and the only thing that stands on the base there.
TOP = f'{IMAGES}/branches-1.1795831493'
ABOVE = f'{IMAGES}/hawkfish-d24f60bdc3c1-vda.qcow2'


@pytest.fixture
def branches():
    """base has the children left and right; top grows from right."""
    return Case('branches')


def chain(root, target='vda'):
    return [source.path for source in xml.chains(root)[target]]


def base_disk(case):
    return case.root('base').find('domain/devices/disk')


def merge(case, name):
    """What *name* has of its first disk after a merge of TOP."""
    root = case.root(name)
    changed = xml.merge_file(
        snapshot_xml.captured_elements(root), TOP, ABOVE, base_disk(case)
    )
    found = [chain(root.find(k)) for k in ('domain', 'inactiveDomain')]
    assert found[0] == found[1]
    return changed, found[0]


def test_the_child_of_what_was_merged(branches):
    """It has captured the base, in the format of the base."""
    assert merge(branches, 'right') == (True, [BASE])


def test_what_grows_from_the_child(branches):
    """Its file stands on the base, which the merged one is not over."""
    assert merge(branches, 'top') == (True, [ABOVE, BASE])


def test_a_branch_aside(branches):
    """What stands on another file over the base stays as it is."""
    before = chain(branches.root('left').find('domain'))

    assert merge(branches, 'left') == (False, before)


def test_what_stands_elsewhere_on_the_merged_file(branches):
    """It keeps that file: only what QEMU has moved is moved."""
    root = branches.root('top')
    changed = xml.merge_file(
        snapshot_xml.captured_elements(root),
        TOP,
        f'{IMAGES}/another.qcow2',
        base_disk(branches),
    )

    assert not changed
    assert chain(root.find('domain')) == [ABOVE, TOP, BASE]


def test_the_format_of_a_raw_base(branches):
    """A disk that is on its base again is read as what the base is."""
    domain = branches.domain
    disks = domain.findall('devices/disk')
    raw = branches.root('base').findall('domain/devices/disk')[1]
    top, _, base = chain(domain, 'sda')[0], None, chain(domain, 'sda')[-1]

    assert xml.merge_file(disks, top, None, raw)

    disk = next(d for d in xml.disks(domain) if d.target == 'sda')
    assert (disk.path, disk.format, disk.depth) == (base, 'raw', 0)
    assert 'index' not in disks[1].find('source').attrib


def test_a_chain_that_is_left_to_libvirt(branches):
    """Only of the disks that are meant, and only where there is one."""
    domain = branches.domain

    assert xml.forget_backing(domain, {'vda'})
    assert not xml.forget_backing(domain, {'vda'})
    assert len(chain(domain)) == 1
    assert len(chain(domain, 'sda')) > 1


@pytest.mark.parametrize('ready', ['yes', 'abort', None])
def test_a_job_that_waits_for_its_pivot(branches, ready):
    """libvirt says so in the definition alone."""
    domain = branches.domain
    mirror = xml.Element('mirror', {'type': 'file'})
    if ready:
        mirror.set('ready', ready)
    domain.find('devices/disk').append(mirror)

    assert xml.is_ready(domain, 'vda') is (ready == 'yes')
    assert not xml.is_ready(domain, 'sda')


def test_who_merges_for_a_system(branches):
    """It has the disks in question, and nothing of the guest."""
    system = branches.domain
    text = offline.describe(system, {'sda': 'vda'})
    made = xml.parse(text)

    (disk,) = xml.disks(made)
    assert (disk.target, disk.path) == ('vda', chain(system, 'sda')[0])
    assert disk.depth == 0
    uuid = made.findtext('uuid')
    assert filenames.is_merger(uuid)
    assert uuid == filenames.merger_uuid(branches.uuid)
    assert not filenames.is_merger(branches.uuid)
    assert {e.tag for e in made.find('devices')} == {
        *('emulator', 'disk', 'controller', 'memballoon')
    }
    assert made.find('os/kernel') is None


def test_a_snapshot_that_is_forgotten(branches):
    """It names no overlay that a later one has captured, and is external."""
    root = branches.root('right')
    before = parsed.parse(root)

    snapshot_xml.forget_overlays(root)

    after = parsed.parse(root)
    assert after.record == before.record
    assert after.captured == before.captured
    assert after.external.keys() == before.external.keys()
    assert not after.overlays & before.overlays
