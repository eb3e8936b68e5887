# SPDX-License-Identifier: Apache-2.0
"""Which files are removed, by an operation and at a start."""

import libvirt
import pytest

from hawkfish_plugin.drivers.libvirt import leftovers
from tests.unit.libvirt import hosted
from tests.unit.libvirt.recordings import Context

BASE = '/images/base.qcow2'
OVERLAY = '/images/hawkfish-0123456789ab-vda.qcow2'
OTHER = '/images/hawkfish-ba9876543210-vda.qcow2'
MEMORY = '/images/hawkfish-0123456789ab.mem'


class Told(Context):
    def __init__(self):
        super().__init__()
        self.messages = []

    def add_message(self, message_id, *args):
        self.messages.append((message_id.rpartition('.')[2], args[0]))


@pytest.fixture
def host():
    with hosted.libvirtd() as made:
        made.file(BASE)
        made.file(OVERLAY, BASE)
        made.file(OTHER, OVERLAY)
        yield made


@pytest.fixture
def node(host):
    return host.domain('node', BASE)


def test_what_was_taken_out_of_use(host, node):
    """The uppermost goes first."""
    told = Told()
    leftovers.discard(node, [OTHER, OVERLAY], told)

    assert host.paths() == {BASE}
    assert told.messages == []


def test_what_is_named_by_its_pool(host, node):
    """A file stays that a definition names as a volume."""
    host.pool('images', '/images')
    name = OVERLAY.rpartition('/')[2]
    host.domain('node', hosted.volume_disk('images', name))

    leftovers.discard(node, [OTHER, OVERLAY], Told())
    assert host.paths() == {BASE, OVERLAY}


@pytest.mark.parametrize('active', [True, False])
def test_what_a_snapshot_has_captured_as_a_volume(host, node, active):
    """
    It stays, though nothing stands on it once the overlay above is gone.

    virsh has made the snapshot, of a disk that is named as Terraform does.
    """
    host.pool('images', '/images', active)
    name = OVERLAY.rpartition('/')[2]
    node.handle.capture('v', OVERLAY, OTHER)
    text = node.handle.snapshots['v']
    volume = hosted.volume_disk('images', name)
    node.handle.snapshots['v'] = text.replace(hosted.disk(OVERLAY), volume)

    leftovers.discard(node, [OTHER, OVERLAY], Told())

    assert host.paths() == {BASE, OVERLAY}


def test_what_is_named_by_a_stopped_pool(host, node):
    """The same."""
    host.pool('images', '/images', active=False)
    name = OVERLAY.rpartition('/')[2]
    host.domain('other', hosted.volume_disk('images', name))

    leftovers.discard(node, [OTHER, OVERLAY], Told())
    assert host.paths() == {BASE, OVERLAY}


class Vanishing(hosted.Handle):
    """One that is listed, and gone when it is asked."""

    def XMLDesc(self, flags=0):
        raise hosted.error(libvirt.VIR_ERR_NO_DOMAIN)

    listAllSnapshots = XMLDesc


def test_a_domain_that_is_gone_meanwhile(host, node):
    """As what merges the files of another system: it keeps nothing."""
    uuid = '00000000-0000-4000-8000-00000000000f'
    host.domains.append(Vanishing(uuid, 'gone', []))
    told = Told()
    leftovers.discard(node, [OTHER, OVERLAY], told)

    assert host.paths() == {BASE}
    assert told.messages == []


def test_where_a_disk_is_unknown(host, node):
    """Nothing goes, and nobody is told to remove it by hand."""
    host.domain('clone', hosted.volume_disk('clones', 'clone.qcow2'))
    told = Told()
    leftovers.discard(node, [OTHER], told)

    assert OTHER in host.paths()
    assert told.messages == [('CleanupUndecided', OTHER)]


def test_what_a_failed_operation_has_made(host):
    """It goes, unless somebody has put something on it since."""
    told = Told()
    host.file(MEMORY)
    leftovers.remove(host.host, [MEMORY, OVERLAY], told)
    assert host.paths() == {BASE, OVERLAY, OTHER}

    leftovers.remove(host.host, [OTHER, OVERLAY], told)
    assert host.paths() == {BASE}
    assert told.messages == []


def test_what_a_failed_operation_has_made_where_a_disk_is_unknown(host):
    """An overlay stays: that disk may stand on it."""
    host.domain('clone', hosted.volume_disk('clones', 'clone.qcow2'))
    told = Told()
    leftovers.remove(host.host, [OTHER], told)

    assert OTHER in host.paths()
    assert told.messages == [('CleanupUndecided', OTHER)]


def test_at_a_start(host, node):
    """What was noted goes, where nothing stands on it."""
    clone = host.file('/images/clone.qcow2', OVERLAY)
    host.domain('clone', clone)

    assert leftovers.sweep(host.host, [OVERLAY, OTHER]) == []
    assert host.paths() == {BASE, OVERLAY, clone}


def test_a_name_that_others_give_at_a_start(host, node):
    """What was noted may have been removed by hand, and made by others."""
    saved = host.file('/images/vm.save')

    assert leftovers.sweep(host.host, [saved]) == [OVERLAY, OTHER]
    assert saved in host.paths()
