# SPDX-License-Identifier: Apache-2.0
"""What a console shows, and what a screen does."""

import struct
import zlib

import pytest

from hawkfish_plugin.drivers.libvirt import probes


@pytest.mark.parametrize(
    'line, pattern, holds',
    [
        ('node login:', 'login:', True),
        ('node login:', 'node*login', True),
        ('login node', 'node*login', False),
        ('aab', 'a*ab', True),
        ('ab', 'ab*b', False),
        ('x', '*', True),
        ('a.c', 'a.c', True),
        ('abc', 'a.c', False),
        ('a' * 100_000, 'a*' * 100 + 'b', False),
    ],
)
def test_a_pattern_is_found(line, pattern, holds):
    """An asterisk is anything; nothing else is special, and none is slow."""
    assert probes.matches(line, pattern) is holds


def test_a_picture_is_a_png():
    """With the same pixels."""
    pixels = bytes(range(18))

    made = probes.png_of(b'P6\n3 2\n255\n' + pixels)

    assert made.startswith(b'\x89PNG\r\n\x1a\n')
    assert struct.unpack('>II', made[16:24]) == (3, 2)
    begin = made.index(b'IDAT') + 4
    (length,) = struct.unpack('>I', made[begin - 8 : begin - 4])
    raw = zlib.decompress(made[begin : begin + length])
    assert raw == b'\0' + pixels[:9] + b'\0' + pixels[9:]


@pytest.mark.parametrize(
    'data', [b'', b'P5\n1 1\n255\nx', b'P6\n9 9\n255\nshort', b'GIF89a']
)
def test_what_is_no_picture_is_none(data):
    """Instead of a failure of all that was checked."""
    assert probes.png_of(data) is None
