# SPDX-License-Identifier: Apache-2.0
"""``snapshot verify`` and ``snapshot export`` of several systems."""

import sys

import pytest


@pytest.fixture
def captured(data):
    """Two systems of a group of three that have a snapshot."""
    data('group', 'create', 'lab', 'node-[012]')
    data('snaps-create', 'node-0', 'node-2', '--name', 'a')


@pytest.mark.skipif(sys.platform == 'win32', reason='the paths of Linux')
def test_snapshots_are_verified(captured, data, hawkfish):
    """Each system has a row; one screenshot has no place for several."""
    seen = data('snaps-verify', 'node-0', 'node-2', 'a')

    assert [(v['System'], v['Name'], v['Verify Result']) for v in seen] == [
        ('node-0', 'a', 'Passed'),
        ('node-2', 'a', 'Passed'),
    ]
    status, _, err = hawkfish(
        *('snapshot', 'verify', '--group', 'lab', 'a'),
        *('--screenshot', 'a.png'),
    )
    assert (status, 'is of one system' in err) == (1, True), err


def test_snapshots_are_exported(captured, hawkfish, tmp_path, monkeypatch):
    """Each to a file of its own; one that fails keeps no other from it."""
    monkeypatch.chdir(tmp_path)

    status, _, err = hawkfish('snaps-export', '--group', 'lab', 'a')

    assert (status, 'node-1: ' in err) == (1, True), err
    assert '1 of 3 failed' in err
    assert {path.name for path in tmp_path.iterdir()} == {
        'node-0-a.tar',
        'node-2-a.tar',
    }


def test_bundles_of_several_systems_share_no_file(
    captured, hawkfish, tmp_path, monkeypatch
):
    """The name of one is none for several."""
    monkeypatch.chdir(tmp_path)

    status, _, err = hawkfish(
        'snapshot', 'export', 'node-[02]', 'a', '-o', 'one.tar'
    )

    assert (status, 'Nothing was done' in err) == (1, True), err
    assert not [*tmp_path.iterdir()]


def test_a_snapshot_tells_its_group(captured, data):
    """A system's own list shows to which group snapshots each belongs."""
    data('group', 'snapshot', 'create', 'lab', 'clean')

    listed = data('snaps-ls', 'node-0')

    assert [(s['Name'], s['Groups']) for s in listed] == [
        ('a', []),
        ('clean', ['clean of lab']),
    ]
    assert data('snaps-show', 'node-1', 'clean')['Groups'] == ['clean of lab']
