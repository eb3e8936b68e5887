# SPDX-License-Identifier: Apache-2.0
"""What the files of a host say."""

import pytest

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import ledger
from tests.unit.libvirt import hosted

BASE = '/images/base.qcow2'
OVERLAY = '/images/hawkfish-0123456789ab-vda.qcow2'
GONE = '/images/gone.qcow2'
LISTED, FULL = contract.Freshness.LISTED, contract.Freshness.FULL


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


# What a look at a folder tells -----------------------------------------------


@pytest.fixture
def asked(host, monkeypatch):
    """What was looked at: folders, and files."""
    host.file(BASE)
    host.file(OVERLAY, BASE)
    create = host.storagePoolCreateXML

    def note(text, flags=0):
        host.read.append('a folder')
        return create(text, flags)

    monkeypatch.setattr(host, 'storagePoolCreateXML', note)
    return host.read


def ask(host):
    """Everything that a decision asks of files."""
    storage = host.host.storage
    return (
        [storage.exists(path) for path in (BASE, OVERLAY, GONE)],
        [storage.size(path) for path in (BASE, OVERLAY, GONE)],
        storage.backing([OVERLAY, GONE]),
        storage.missing([OVERLAY]),
        storage.missing([GONE]),
        storage.overlay_size(BASE),
        storage.file_system('/images'),
    )


def test_one_look_tells_all_of_a_folder(host, asked):
    """What is told is what each of the questions would have found."""
    expected, book = ask(host), ledger.Ledger()
    assert expected[2] == {OVERLAY: BASE, BASE: None}
    with host.host.moments.at_one_time():
        book.files(host.host, [BASE], FULL)
        asked.clear()

        assert ask(host) == expected
        assert not asked
    ask(host)
    assert asked


def test_what_has_changed_since_the_look(host, asked):
    with host.host.moments.at_one_time():
        ledger.Ledger().files(host.host, [BASE], FULL)
        host.host.storage.remove(OVERLAY)
        host.file(GONE, mib=7)

        assert not host.host.storage.exists(OVERLAY)
        assert host.host.storage.backing([OVERLAY]) == {}
        assert host.host.storage.size(GONE)[1] == 7 * hosted.MIB


def test_a_file_that_the_look_has_not_read(host, asked):
    """It is there; what it is has to be asked."""
    other, book = host.file('/images/other', BASE), ledger.Ledger()
    book.files(host.host, [BASE], FULL)
    host.file(other, GONE, mib=7)
    with host.host.moments.at_one_time():
        book.files(host.host, [BASE], LISTED)
        asked.clear()

        assert host.host.storage.exists(other)
        assert not asked
        assert host.host.storage.size(other)[1] == 7 * hosted.MIB
        assert host.host.storage.backing([other])[other] == GONE


def test_a_pool_of_others_does_not_tell_what_is_gone(host, asked):
    """Only what was read from the disk does."""
    host.pool('images', '/images')
    with host.host.moments.at_one_time():
        ledger.Ledger().files(host.host, [], FULL)
        host.file(GONE)

        assert host.host.storage.exists(GONE)
