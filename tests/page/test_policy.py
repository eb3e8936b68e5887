# SPDX-License-Identifier: Apache-2.0
"""What a browser is not allowed is refused, and no test misses it."""

import pytest

from tests.page import browser as browsers

FORBIDDEN = {
    'inline script': (
        'document.body.append(Object.assign('
        'document.createElement("script"), {textContent: "window.x = 1"}))'
    ),
    'inline style': 'document.body.setAttribute("style", "color: red")',
    'eval': 'setTimeout("window.x = 1")',
    'another host': 'fetch("http://127.0.0.1:9/").catch(() => {})',
    'a picture': (
        'document.body.append(Object.assign('
        'new Image(), {src: "http://127.0.0.1:9/"}))'
    ),
    'an error': 'setTimeout(() => { throw new Error("no") })',
    'the console': 'console.log("here")',
}


@pytest.mark.parametrize('what', FORBIDDEN)
def test_it_is_refused_and_seen(browser, emulator, what):
    """Each is a fault of the test in which it happens."""
    with pytest.raises(AssertionError, match=r'\['):
        with browsers.looking(browser, emulator.url) as page:
            page.evaluate(f'() => {{ {FORBIDDEN[what]} }}')
            page.wait_for_function('true')
            page.get_by_role('option').first.wait_for()
            assert page.evaluate('window.x') is None


def test_no_other_site_changes_anything(browser, emulator):
    """What a page of another origin sends is not obeyed."""
    emulator.created(Name='clean')
    purge = 'HawkFishSnapshotCollection.Purge'
    context = browser.new_context()
    page = context.new_page()
    # The same address under another name is another site.
    page.goto(emulator.url.replace('127.0.0.1', 'localhost') + '/redfish')
    page.evaluate(
        """(uri) => fetch(
          uri, {method: "POST", mode: "no-cors", credentials: "include"}
        )""",
        f'{emulator.snapshots_url}/Actions/{purge}',
    )
    context.close()

    emulator.wait_idle()
    left = [s.name for s in emulator.driver.snapshots(emulator.system)]
    assert left == ['clean']
