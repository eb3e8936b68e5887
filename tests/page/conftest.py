# SPDX-License-Identifier: Apache-2.0
"""The page in a browser, over the emulator of the unit tests."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright import sync_api

from tests.page import browser as browsers
from tests.page.hands import HANDS, Hand

# The same emulator, in this process: a test can make its driver slow.
from tests.unit.conftest import (  # noqa: F401
    Emulator,
    emulator,
    served_app,
)
from tests.waiting import patience


@pytest.fixture(scope='session')
def browser() -> Iterator[sync_api.Browser]:
    sync_api.expect.set_options(timeout=1000 * patience(10))
    with browsers.running() as started:
        yield started


@pytest.fixture
def look(
    browser: sync_api.Browser,
    emulator: Emulator,  # noqa: F811
) -> Iterator[Callable[..., sync_api.Page]]:
    """Look at the page of the emulator; see ``browsers.looking``."""
    with contextlib.ExitStack() as stack:

        def open_page(**options: Any) -> sync_api.Page:
            seen = browsers.looking(browser, emulator.url, **options)
            return stack.enter_context(seen)

        yield open_page


@pytest.fixture
def policies(emulator: Emulator) -> Iterator[Any]:  # noqa: F811
    """The policies of the emulator; that of the system is as before."""
    yield emulator.services.policies
    emulator.services.policies.change(
        emulator.driver.resolve('fake'),
        {'max_snapshots': 0, 'max_age': 0, 'max_bytes': 0},
        lambda: None,
    )


@pytest.fixture(params=HANDS, ids=lambda kind: kind.__name__.lower())
def hand(
    request: pytest.FixtureRequest, look: Callable[..., sync_api.Page]
) -> Hand:
    """A hand that uses the page, by mouse or by keyboard alone."""
    made: Hand = request.param(look())
    return made
