# SPDX-License-Identifier: Apache-2.0
"""Files that are staged for an export, where storage does not answer."""

import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers.libvirt import hosts, staging
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
