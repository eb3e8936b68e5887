# SPDX-License-Identifier: Apache-2.0
"""A thousand snapshots and five hundred systems, without a stutter."""

import re
import time

import pytest
import requests
from playwright.sync_api import expect

from hawkfish_plugin.drivers import contract
from tests.page import browser as browsers
from tests.page.parts import row
from tests.served import Served
from tests.waiting import patience

COUNT = 1000

# How long until a change that has been told of shows, in milliseconds.
CHANGE = """async ([uri, name]) => {
  const { changes } = await import("/hawkfish/context.js");
  const shown = new Promise((resolve) => {
    const seen = new MutationObserver(() => {
      const rows = [...document.querySelectorAll(".panes [role=treeitem]")];
      const wanted = rows.find((one) => one.ariaLabel.startsWith(`${name},`));
      if (wanted?.ariaLabel.includes("locked")) {
        seen.disconnect();
        resolve(performance.now());
      }
    });
    const tree = document.querySelector(".panes hawkfish-tree");
    const options = { subtree: true, attributes: true, childList: true };
    seen.observe(tree, options);
  });
  const begin = performance.now();
  changes.dispatchEvent(new CustomEvent("hint", { detail: uri }));
  return (await shown) - begin;
}"""

# The longest that the page has answered nothing while it was scrolled.
SCROLL = """async () => {
  const tree = document.querySelector(".panes hawkfish-tree");
  let longest = 0;
  let last = performance.now();
  for (let n = 0; n < 60; n += 1) {
    tree.scrollTop = (n % 2 ? n : 60 - n) * tree.scrollHeight / 60;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return longest;
}"""


def planted():
    """A chain, with a branch at every tenth."""
    made = []
    for n in range(COUNT):
        parent = f's{n - 1}' if n else None
        if n % 10 == 9:
            parent = f's{n - 9}'
        made.append(
            contract.Snapshot(
                f's{n}',
                '',
                1_700_000_000 + n,
                'Off',
                memory=False,
                external=True,
                parent=parent,
                current=n == COUNT - 1,
            )
        )
    return made


@pytest.fixture
def full(look, emulator):
    """The page of the system, which has a thousand snapshots."""
    emulator.driver.plant(emulator.system, planted())
    page = look()
    page.goto(f'{page.url}#/systems/{emulator.system}')
    expect(row(page, f's{COUNT - 1}')).to_be_visible()
    return page


def test_the_first_tree(full, emulator):
    """It is there in a second, from a link; only what is seen is drawn."""
    begin = time.monotonic()
    full.reload()
    expect(row(full, f's{COUNT - 1}')).to_be_visible()
    taken = time.monotonic() - begin

    print(f'first tree: {taken:.2f} s')
    assert taken < patience(2)
    assert full.locator('.panes [role=treeitem]').count() < 60
    full.get_by_role('treeitem').first.click()
    full.keyboard.press('End')
    expect(row(full, 's0')).to_be_focused()
    # Out of sight, it keeps the focus, and the keys go on from there.
    tree = full.locator('.panes hawkfish-tree')
    tree.evaluate('tree => { tree.scrollTop = 0; }')
    expect(row(full, f's{COUNT - 1}')).to_be_visible()
    expect(row(full, 's0')).to_be_focused()
    full.keyboard.press('ArrowUp')
    expect(row(full, 's1')).to_be_focused()
    assert full.locator('.panes [role=treeitem]').count() < 60


def test_a_change(full, emulator):
    """It shows at once, far sooner than a thousand could be read again."""
    expect(full.get_by_text(re.compile('^Live$'))).to_be_visible()
    one, whole = [], []
    for n in range(COUNT - 1, COUNT - 11, -1):
        url = f'{emulator.snapshots_url}/s{n}'
        requests.patch(url, json={'Locked': True}, timeout=60)
        # Of a change of the collection, nobody knows what it was.
        times, uri = (whole, emulator.snapshots_url) if n % 2 else (one, url)
        told = uri.removeprefix(emulator.url)
        times.append(full.evaluate(CHANGE, [told, f's{n}']))

    print('one:', [f'{t:.0f} ms' for t in one])
    print('all:', [f'{t:.0f} ms' for t in whole])
    assert 2 * min(one) < min(whole)


def test_scrolling(full):
    """No frame keeps the reader waiting."""
    longest = full.evaluate(SCROLL)

    print(f'longest frame: {longest:.0f} ms')
    assert longest < patience(200)


@pytest.fixture
def many(tmp_path):
    """An emulator with five hundred systems."""
    served = Served(tmp_path)
    served.command = [
        'hawkfish-emulator',
        *('--config', str(served.config)),
        *served.options(),
        *('--fake-systems', '500'),
    ]
    yield served.start()
    served.stop()


def test_five_hundred_systems(browser, many):
    """They are listed at once, filtered as one types, and few are drawn."""
    with browsers.looking(browser, many.url) as page:
        # The fake driver makes its systems when they are first asked for.
        expect(page.get_by_role('option').first).to_be_visible(
            timeout=1000 * patience(60)
        )
        begin = time.monotonic()
        page.reload()
        expect(page.get_by_role('option').first).to_be_visible()
        taken = time.monotonic() - begin
        print(f'first list: {taken:.2f} s')
        assert taken < patience(3)
        expect(page.get_by_text('500 systems')).to_be_visible()
        assert page.get_by_role('option').count() < 60
        page.get_by_label('Filter').fill('fake-499')
        expect(page.get_by_role('option')).to_have_count(1)
        expect(page.get_by_text('1 of 500 systems')).to_be_visible()
        page.keyboard.press('Tab')
        page.keyboard.press('Enter')
        expect(page.get_by_role('heading', name='fake-499')).to_be_visible()
