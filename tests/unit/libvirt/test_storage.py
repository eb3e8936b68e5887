# SPDX-License-Identifier: Apache-2.0
"""What the files of a host say."""

import pytest

from tests.unit.libvirt import hosted

OVERLAY = '/images/hawkfish-0123456789ab-vda.qcow2'


@pytest.fixture
def host():
    with hosted.libvirtd() as made:
        yield made


EMPTY = {
    'new': hosted.qcow2(0, 0, 0),
    'small clusters': hosted.qcow2(0, 0, 0, cluster_bits=9),
    'big': hosted.qcow2(*[0] * 2**18),
    'nothing': b'',
}
WRITTEN = {
    'used': hosted.qcow2(0, hosted.USED, 0),
    'used, with small clusters': hosted.qcow2(0, hosted.USED, cluster_bits=9),
    # What is not known is no reason to remove it.
    'cut off': hosted.qcow2(0, 0, 0)[:-1],
    'data in another file': hosted.qcow2(0, features=4),
    'with internal snapshots': hosted.qcow2(0, snapshots=1),
    'too big': hosted.qcow2(*[0] * (2**21 + 1)),
    'short': b'QFI\xfb',
    'raw': bytes(2**20),
}


@pytest.mark.parametrize('name', [*EMPTY, *WRITTEN])
@pytest.mark.parametrize('mib', [0.01, 100])
def test_an_overlay_that_may_hold_data(host, name, mib):
    """The tables tell, and not how much the file takes."""
    data = (EMPTY | WRITTEN)[name]
    host.file(OVERLAY, '/images/base', mib=mib, data=data)

    assert host.host.storage.is_written(OVERLAY) is (name in WRITTEN)


def test_an_overlay_that_is_gone(host):
    assert not host.host.storage.is_written(OVERLAY)


def test_an_overlay_in_a_folder_that_cannot_be_read(host):
    """Unless it is gone it may hold data."""
    host.file(OVERLAY, data=hosted.qcow2(0))
    host.unreadable.add('/images')

    assert host.host.storage.is_written(OVERLAY)
