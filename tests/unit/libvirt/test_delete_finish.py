# SPDX-License-Identifier: Apache-2.0
"""What names a merged file is corrected before the file goes."""

import dataclasses

import pytest

from hawkfish_plugin.drivers.libvirt import delete_finish, layers, ledger, xml
from tests.unit.libvirt import hosted
from tests.unit.libvirt.recordings import Context

BASE = '/images/base.qcow2'
OVERLAY = '/images/hawkfish-0123456789ab-vda.qcow2'


@pytest.mark.parametrize('by_volume', [False, True])
def test_the_definition(by_volume):
    """It names the base, also where it named the overlay by its pool."""
    with hosted.libvirtd() as host:
        host.file(BASE)
        host.file(OVERLAY, BASE)
        host.pool('images', '/images')
        name = OVERLAY.rpartition('/')[2]
        disk = hosted.volume_disk('images', name) if by_volume else OVERLAY
        node = host.domain('node', disk)
        node.handle.capture('s', BASE, OVERLAY)
        merge = layers.Merge('vda', BASE, OVERLAY, None)

        delete_finish.run(node, 's', layers.Plan([merge]), Context())

        (disk,) = xml.disks(node.definition())
        assert (disk.kind, disk.path, disk.volume) == ('file', BASE, None)


def test_the_definition_by_another_path():
    """The next start is on the base, whatever path it had the overlay by."""
    with hosted.libvirtd() as host:
        host.file(BASE)
        host.file(OVERLAY, BASE)
        host.link('/link', '/images')
        node = host.domain('node', OVERLAY.replace('images', 'link'))
        node.handle.capture('s', BASE, OVERLAY)
        planned = layers.plan(node, 's', {}, ledger.Ledger())
        (merge,) = planned.merges
        merge = dataclasses.replace(merge, top=OVERLAY)
        planned = dataclasses.replace(planned, merges=[merge])

        delete_finish.run(node, 's', planned, Context())

        assert [d.path for d in xml.disks(node.definition())] == [BASE]
