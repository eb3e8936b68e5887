# SPDX-License-Identifier: Apache-2.0
"""
The two ways of using a page: by mouse, and by keyboard alone.

Both have the same methods, so a test is written once and done by either.
"""

from collections.abc import Callable
from typing import Protocol

from playwright.sync_api import Locator, Page, expect

_MOST_TABS = 80


class Hand(Protocol):
    """
    What one can do with a page.

    What is named is found as a screen reader finds it: by its role and name.
    """

    page: Page

    def press(self, what: Locator) -> None: ...

    def type(self, what: Locator, text: str) -> None: ...

    def choose(self, what: Locator, label: str) -> None: ...

    def tick(self, what: Locator) -> None: ...

    def stand_on(self, row: Locator) -> None: ...


class Mouse:
    """Clicks, and types where it has clicked."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, what: Locator) -> None:
        what.click()

    def type(self, what: Locator, text: str) -> None:
        what.click(click_count=3)
        self.page.keyboard.press('Control+A')
        self.page.keyboard.type(text)

    def choose(self, what: Locator, label: str) -> None:
        what.select_option(label=label)

    def tick(self, what: Locator) -> None:
        what.click()

    def stand_on(self, row: Locator) -> None:
        row.click()


class Keyboard:
    """Tabs to what it needs, and never touches anything else."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, what: Locator) -> None:
        self._reach(what)
        self.page.keyboard.press('Enter')

    def type(self, what: Locator, text: str) -> None:
        self._reach(what)
        self.page.keyboard.press('Control+A')
        self.page.keyboard.type(text)

    def choose(self, what: Locator, label: str) -> None:
        self._reach(what)
        self.page.keyboard.type(label)

    def tick(self, what: Locator) -> None:
        self._reach(what)
        self.page.keyboard.press('Space')

    def stand_on(self, row: Locator) -> None:
        """Go to the list of the row, and down in it to the row itself."""
        row.first.wait_for()
        box = row.locator('xpath=ancestor::*[@role="tree" or @role="listbox"]')
        self._tab_until(lambda: _has_focus(box))
        self.page.keyboard.press('Home')
        for _ in range(_MOST_TABS):
            if _has_focus(row):
                return
            self.page.keyboard.press('ArrowDown')
        raise AssertionError(f'{row} is not reached by arrow keys')

    def _reach(self, what: Locator) -> None:
        expect(what).to_be_visible()
        self._tab_until(lambda: _has_focus(what))

    def _tab_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(_MOST_TABS):
            if condition():
                return
            self.page.keyboard.press('Tab')
        raise AssertionError('not reached by Tab')


def _has_focus(what: Locator) -> bool:
    return bool(
        what.evaluate('place => place.contains(document.activeElement)')
    )


HANDS = [Mouse, Keyboard]
