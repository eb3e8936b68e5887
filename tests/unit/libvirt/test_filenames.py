# SPDX-License-Identifier: Apache-2.0
"""The names of files that are ours, and of those that are not."""

import hypothesis
import pytest
from hypothesis import strategies as st

from hawkfish_plugin.drivers.libvirt import filenames
from tests.unit.libvirt.recordings import CASES, Case, volumes

TOKEN = '0123456789ab'
TARGETS = st.from_regex(r'(vd|sd|hd|xvd)[a-z]{1,2}', fullmatch=True)


@hypothesis.given(TARGETS)
def test_what_we_name_is_ours(target):
    """Every name that the driver gives to a file is recognised as its own."""
    token = filenames.new_token()
    made = [
        filenames.overlay('/images/base.qcow2', token, target),
        filenames.memory('/images', token),
        *filenames.firmware_copies(
            '/images', token, ('nvram', 'tpm')
        ).values(),
    ]

    assert all(path.startswith('/images/') for path in made)
    assert all(filenames.is_ours(path) for path in made)
    assert filenames.overlays(made) == made[:1]


@hypothesis.given(TARGETS)
def test_a_revert_over_our_overlay_is_ours(target):
    """What libvirt puts over an overlay of ours in a revert is recognised."""
    base = filenames.overlay('/images/base.raw', TOKEN, target)
    above = f'/images/hawkfish-{TOKEN}-{target}.1795831493'

    assert filenames.is_revert_overlay_of(base, above)
    assert filenames.is_ours(above)
    assert filenames.is_snapshot_overlay(above)
    assert filenames.may_be_left_behind(above)


@pytest.mark.parametrize(
    'name',
    [
        f'hawkfish-{TOKEN}',
        f'hawkfish-{TOKEN}.gz',
        f'hawkfish-{TOKEN}-vda.qcow2.bak',
        f'hawkfish-{TOKEN}-vda.raw',
        f'hawkfish-{TOKEN}-my-clone.qcow2',
        f'hawkfish-{TOKEN}.nvram',
        f'hawkfish-{TOKEN.upper()}-vda.qcow2',
        'hawkfish-notes.mem',
        'branches-1.qcow2',
    ],
)
def test_others_names_are_not_ours(name):
    """A name that is merely like ours is not taken for a file of ours."""
    assert not filenames.is_ours(f'/images/{name}')
    assert not filenames.may_be_left_behind(f'/images/{name}')


def test_a_revert_overlay_is_of_one_base():
    """The overlays of another base are told from those of this one."""
    path = '/images/disk.1795831493'

    assert filenames.is_revert_overlay_of('/images/disk.qcow2', path)
    assert not filenames.is_revert_overlay_of('/images/disk-2.qcow2', path)
    assert not filenames.is_revert_overlay_of(
        '/images/disk.qcow2', '/images/disk.179583149'
    )


def test_disks_that_collide():
    """Two files that differ in their endings only have one stem."""
    stems = {filenames.revert_stem(f'/images/disk.{e}') for e in ('a', 'raw')}

    assert stems == {'/images/disk'}


def test_transient_pools():
    """A transient pool is known by its name, and by nothing like it."""
    name = filenames.new_transient_pool()

    assert filenames.is_transient_pool(name)
    assert not filenames.is_transient_pool(name[:-1])
    assert not filenames.is_transient_pool(f'hawkfish-{TOKEN}')
    assert not filenames.is_transient_pool('default')


@pytest.mark.parametrize('case', CASES)
def test_recorded_names(case):
    """Every overlay and memory image of a recorded snapshot is ours."""
    for snapshot in Case(case).seen:
        assert all(filenames.is_ours(p) for p in snapshot.overlays), case
        assert all(filenames.is_ours(p) for p in snapshot.own_files), case


def test_recorded_firmware_copies():
    """The copy of a firmware's state is found again by its snapshot alone."""
    copies = Case('uefi-off').one('off').copies

    assert set(copies) == {'nvram'}
    assert copies['nvram'] in {path for path, _ in volumes().values()}


def test_names_in_a_text():
    """Names like ours are found wherever a text mentions them."""
    text = f'<a file="/x/hawkfish-{TOKEN}.mem"/> hawkfish-{TOKEN}-vda.qcow2'

    assert list(filenames.ours_in(text)) == [
        f'hawkfish-{TOKEN}.mem',
        f'hawkfish-{TOKEN}-vda.qcow2',
    ]
