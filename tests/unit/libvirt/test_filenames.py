# SPDX-License-Identifier: Apache-2.0
"""The names of files that are ours, and of those that are not."""

import hypothesis
import pytest
from hypothesis import strategies as st

from hawkfish_plugin.drivers.libvirt import filenames

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


def test_a_revert_overlay_is_of_one_base():
    """The overlays of another base are told from those of this one."""
    path = '/images/disk.1795831493'

    assert filenames.is_revert_overlay_of('/images/disk.qcow2', path)
    assert not filenames.is_revert_overlay_of('/images/disk-2.qcow2', path)
    assert not filenames.is_revert_overlay_of('/others/disk.qcow2', path)
    assert not filenames.is_revert_overlay_of(
        '/images/disk.qcow2', '/images/disk.179583149'
    )
