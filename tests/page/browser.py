# SPDX-License-Identifier: Apache-2.0
"""
A real browser that looks at the page, and tells what is wrong with it.

Owns how it is started, and what no page of ours may do: violate its policy,
say anything on the console, or ask any other host for anything.
"""

import contextlib
import os
import pathlib
import urllib.parse
from collections.abc import Collection, Iterator

from playwright import sync_api

from tests.waiting import patience

PROGRAM = '/usr/bin/chromium'
# As root it has no sandbox; and it asks nobody for news.
_OPTIONS = ('--no-sandbox', '--headless', '--disable-background-networking')

PHONE = {'width': 390, 'height': 780}
_DESK = {'width': 1120, 'height': 680}


@contextlib.contextmanager
def running() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, args=[*_OPTIONS]
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def looking(
    browser: sync_api.Browser,
    url: str,
    size: dict[str, int] | None = None,
    dark: bool = False,
    refused: Collection[int] = (),
    expected: str = '',
) -> Iterator[sync_api.Page]:
    """
    The page of the emulator at *url*, which must be faultless at the end.

    *refused* are the statuses of answers that are part of the test: a browser
    says on the console that there was one.  *expected* is what begins what it
    says of a server that is gone.
    """
    context = browser.new_context(
        viewport=size or _DESK, color_scheme='dark' if dark else 'light'
    )
    context.set_default_timeout(1000 * patience(10))
    page = context.new_page()
    faults: list[str] = []
    said = tuple(
        f'Failed to load resource: the server responded with a status of {n}'
        for n in refused
    ) + ((expected,) if expected else ())

    def hear(message: sync_api.ConsoleMessage) -> None:
        if not (said and message.text.startswith(said)):
            faults.append(f'{message.type}: {message.text}')

    def see(request: sync_api.Request) -> None:
        asked = urllib.parse.urlsplit(request.url)
        if asked.scheme not in ('data', 'blob') and asked.netloc != host:
            faults.append(f'request to {request.url}')

    host = urllib.parse.urlsplit(url).netloc
    page.on('console', hear)
    page.on('pageerror', lambda error: faults.append(str(error)))
    page.on('request', see)
    page.on('dialog', lambda dialog: faults.append(dialog.message))
    page.goto(f'{url}/hawkfish/')
    try:
        yield page
    finally:
        context.close()
    assert not faults, faults


def picture(page: sync_api.Page, name: str) -> None:
    """
    Keep what *page* shows for the documentation, if it is wanted.

    HAWKFISH_PICTURES names the folder.
    """
    folder = os.environ.get('HAWKFISH_PICTURES')
    if folder:
        # What went before is no part of it.
        page.locator('#notices').evaluate('place => place.replaceChildren()')
        page.screenshot(path=pathlib.Path(folder) / f'{name}.png')
