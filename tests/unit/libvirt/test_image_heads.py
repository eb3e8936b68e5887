# SPDX-License-Identifier: Apache-2.0
"""The head of a memory image, before and after it names a clone."""

import struct

import pytest

from hawkfish_plugin.drivers.libvirt import image_heads, xml
from hawkfish_plugin.drivers.libvirt.image_heads import HEADER_BYTES, Damaged

TEXT = b'<domain><name>old</name></domain>\0'
COOKIE = b'<cookie/>\0'
NEW = xml.parse('<domain><name>a clone of another name</name></domain>')


def image(text=TEXT, cookie=COOKIE, room=200, order='<', magic=None):
    size = len(text) + len(cookie) + room
    header = struct.pack(
        f'{order}16s5I56x',
        magic or b'LibvirtQemudSave',
        *(2, size, 1, 0, len(text) if cookie else 0),
    )
    return header + text + cookie + bytes(room) + b'the memory'


def parsed(data):
    return image_heads.parse(data[:HEADER_BYTES], data[HEADER_BYTES:])


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('cookie', [COOKIE, b''])
def test_the_definition_is_another_one(order, cookie):
    """The memory stays where it is, and the cookie is the same."""
    data = image(order=order, cookie=cookie)

    head = parsed(data)
    made = head.replaced(NEW)

    assert head.definition.findtext('name') == 'old'
    assert len(made) == len(data) - len(b'the memory')
    again = parsed(made + b'the memory')
    assert again.definition.findtext('name') == 'a clone of another name'
    assert again.cookie == head.cookie == cookie
    assert made[:32] == data[:32]


@pytest.mark.parametrize(
    'data, words',
    [
        (b'', 'too short'),
        (image()[:50], 'too short'),
        (image(magic=b'LibvirtQemudPart'), 'not finished'),
        (image(magic=b'something else..'), 'no header'),
        (image()[: HEADER_BYTES + 10], 'cut off'),
        (image(text=b'<domain>\0'), 'definition is damaged'),
        (image(text=b'\xff\0'), 'definition is damaged'),
        (image(room=17 * 2**20), 'header is damaged'),
    ],
)
def test_what_is_damaged_is_told(data, words):
    """Before libvirt is asked to load it."""
    with pytest.raises(Damaged, match=words):
        parsed(data)


def test_a_definition_that_does_not_fit_is_refused():
    """It would overwrite the memory."""
    with pytest.raises(Damaged, match='no room'):
        parsed(image(room=1)).replaced(NEW)
