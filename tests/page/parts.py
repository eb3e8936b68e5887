# SPDX-License-Identifier: Apache-2.0
"""The parts of the page, as a screen reader finds them, and what is behind."""

import re
from typing import Any

import requests
from playwright.sync_api import Locator, Page, expect

from tests.page.hands import Hand, Keyboard
from tests.unit.conftest import Emulator


def row(page: Page, name: str) -> Locator:
    """The row of a snapshot in the tree of the page."""
    text = re.compile(rf'^{re.escape(name)},')
    return page.locator('.panes').get_by_role('treeitem', name=text)


def button(page: Page, name: str) -> Locator:
    """A button of the open dialog, or else of the page."""
    dialog = page.get_by_role('dialog')
    place = dialog if dialog.count() else page.locator('#view')
    return place.get_by_role('button', name=name, exact=True)


def label(page: Page, name: str) -> Locator:
    return page.get_by_role('dialog').get_by_label(name)


def snapshot(emulator: Emulator, name: str) -> dict[str, Any] | None:
    return next((s for s in snapshots(emulator) if s['Name'] == name), None)


def snapshots(emulator: Emulator) -> list[dict[str, Any]]:
    answer = requests.get(f'{emulator.snapshots_url}?$expand=.', timeout=60)
    members: list[dict[str, Any]] = answer.json()['Members']
    return members


def go_to(hand: Hand, system: str) -> None:
    """Open the page of a system, from the list of all."""
    choice = hand.page.get_by_role('option', name=re.compile(f'^{system},'))
    hand.stand_on(choice)
    if isinstance(hand, Keyboard):
        hand.page.keyboard.press('Enter')
    expect(
        hand.page.get_by_role('heading', name=system, exact=True)
    ).to_be_visible()


def go_to_group(hand: Hand, name: str) -> None:
    """Open the page of a group."""
    hand.press(
        hand.page.get_by_role('list').get_by_role('link', name=name).first
    )
    heading = hand.page.get_by_role('heading', name=name, exact=True)
    expect(heading).to_be_visible()


def go_to_page(hand: Hand, name: str) -> None:
    """Open one of the pages that are named at the top."""
    pages = hand.page.get_by_role('navigation', name='Pages')
    hand.press(pages.get_by_role('link', name=name))
    expect(hand.page.get_by_role('heading', name=name)).to_be_visible()
