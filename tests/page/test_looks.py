# SPDX-License-Identifier: Apache-2.0
"""What the page looks like: to eyes, to a screen reader, with any name."""

import re

import pytest
import requests
from playwright.sync_api import expect

from tests.page.browser import PHONE, picture
from tests.page.parts import button, row

HOSTILE = [
    '<img src=x onerror=alert(1)>',
    '"><script>alert(1)<',
    '{{constructor.constructor("alert(1)")()}}',
    "' onfocus=alert(1) autofocus='",
    '%2e%2e%2f?#&=+',
    'مرحبا بالعالم',
    '日本語の名前 🦅',
    'a' * 128,
    '__proto__',
    'here',
]


@pytest.fixture
def at_system(look, emulator):
    """Look at the page of the system."""

    def open_page(**options):
        page = look(**options)
        page.goto(f'{page.url}#/systems/{emulator.system}')
        expect(page.get_by_role('treeitem').first).to_be_visible()
        return page

    return open_page


def test_a_name_is_text(at_system, emulator):
    """Whatever somebody calls a snapshot, and says of it, is shown as such."""
    for name in HOSTILE:
        emulator.created(Name=name, Description=f'{name}\n{name}')
    page = at_system()
    for name in HOSTILE:
        row(page, name).click()
        details = page.get_by_role('region', name='Details')
        expect(details.get_by_role('heading')).to_have_text(name)
        button(page, 'Delete').click()
        expect(page.get_by_role('dialog')).to_contain_text(f'Delete “{name}”')
        page.keyboard.press('Escape')
        button(page, 'Lock').click()
        expect(row(page, name)).to_have_accessible_name(re.compile('locked'))
        button(page, 'Unlock').click()
    assert page.locator('hawkfish-tree :is(img, script)').count() == 0
    # All of one chain, in the order in which they grew.
    assert page.get_by_role('treeitem').count() == len(HOSTILE) + 1


def test_a_phone_has_room_for_it(look, emulator):
    """One thing at a time, all of it, and nothing beside the screen."""
    for name in ('clean', 'a' * 128):
        emulator.created(Name=name)
    page = look(size=PHONE)

    def fits():
        return page.evaluate(
            'document.documentElement.scrollWidth <= innerWidth'
        )

    assert fits()
    page.get_by_role('option', name=re.compile('^fake,')).click()
    expect(page.get_by_role('listbox')).to_be_hidden()
    row(page, 'clean').click()
    expect(row(page, 'clean').get_by_text('clean')).to_be_visible()
    assert fits()
    picture(page, 'page-phone')
    button(page, 'Revert').click()
    expect(page.get_by_role('dialog')).to_contain_text('Lost for good')
    assert fits()
    page.keyboard.press('Escape')
    for name in ('Tasks', 'Events'):
        page.get_by_role('link', name=name).click()
        expect(page.get_by_role('heading', name=name)).to_be_visible()
        assert fits()
    page.get_by_role('link', name='All systems').click()
    expect(page.get_by_role('listbox')).to_be_visible()


def test_a_screen_reader_gets_the_tree(at_system, emulator):
    """Levels, places among siblings, and all that a row shows, in words."""
    for name in ('base', 'left'):
        emulator.created(Name=name)
    emulator.wait(_revert(emulator, 'base'))
    emulator.created(Name='right', Locked=True)
    page = at_system()

    tree = page.get_by_role('tree', name='Snapshots of fake')
    expect(tree).to_match_aria_snapshot(
        """
        - tree "Snapshots of fake":
          - treeitem "The system is here, on right" [level=3]
          - treeitem /right, Ready, .*locked, .* base, .*here/ [level=2]
          - treeitem /left, Ready, disks, .*, parent base/ [level=2]
          - treeitem /base, Ready, disks, external/ [level=1]
        """
    )
    places = row(page, 'right').evaluate(
        'row => [row.ariaPosInSet, row.ariaSetSize]'
    )
    assert places == ['2', '2']
    for heading in ('Systems', 'fake'):
        expect(page.get_by_role('heading', name=heading)).to_be_visible()


def _revert(emulator, name):
    url = f'{emulator.snapshots_url}/{name}/Actions/HawkFishSnapshot.Revert'
    return requests.post(url, json={}, timeout=60)


# The contrast of two colours (WCAG 2.2), which a canvas makes comparable.
CONTRAST = """([one, other]) => {
  const root = getComputedStyle(document.documentElement);
  const light = (name) => {
    const text = root.getPropertyValue(name).trim();
    const parts = [1, 3, 5].map((at) => parseInt(text.substr(at, 2), 16));
    const [r, g, b] = parts.map((part) => {
      const value = part / 255;
      const linear = ((value + 0.055) / 1.055) ** 2.4;
      return value <= 0.04045 ? value / 12.92 : linear;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}"""


@pytest.mark.parametrize('dark', [False, True], ids=['light', 'dark'])
def test_everything_can_be_read(at_system, dark):
    """Light and dark are what the browser asks for; both have contrast."""
    page = at_system(dark=dark)
    painted = page.evaluate('getComputedStyle(document.body).backgroundColor')
    lightness = sum(int(n) for n in re.findall(r'\d+', painted)[:3]) / 765
    assert (lightness < 0.5) == dark
    for ink in ('text', 'quiet', 'accent', 'danger', 'warning', 'good'):
        for paper in ('paper', 'page', 'chosen'):
            pair = [f'--{ink}', f'--{paper}']
            assert page.evaluate(CONTRAST, pair) >= 4.5, pair
    assert page.evaluate(CONTRAST, ['--on-accent', '--accent']) >= 4.5
    for lane in range(6):
        assert page.evaluate(CONTRAST, [f'--lane-{lane}', '--paper']) >= 3


def test_the_keys_of_a_tree(at_system, emulator):
    """As the patterns of ARIA have them, and the focus is never lost."""
    for name in ('base', 'middle', 'most'):
        emulator.created(Name=name)
    page = at_system()
    press = page.keyboard.press
    page.get_by_role('treeitem').first.click()
    press('End')
    expect(row(page, 'base')).to_be_focused()
    press('ArrowRight')
    expect(row(page, 'middle')).to_be_focused()
    press('ArrowLeft')
    expect(row(page, 'base')).to_be_focused()
    page.keyboard.type('mo')
    expect(row(page, 'most')).to_be_focused()
    press('Delete')
    expect(page.get_by_role('dialog')).to_contain_text('Delete “most”')
    press('Escape')
    expect(row(page, 'most')).to_be_focused()
    press('Enter')
    expect(button(page, 'Revert')).to_be_focused()
    page.get_by_role('treeitem', name=re.compile('^most,')).focus()
    emulator.created(Name='newest')
    expect(row(page, 'newest')).to_be_visible()
    expect(row(page, 'most')).to_be_focused()
    # Of a tree, one row is a stop.
    assert page.locator('[role=treeitem][tabindex="0"]').count() == 1
