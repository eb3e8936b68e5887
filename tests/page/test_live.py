# SPDX-License-Identifier: Apache-2.0
"""What others do shows by itself, whatever becomes of the stream."""

import re

import pytest
import requests
from playwright.sync_api import expect

from tests.page import browser as browsers
from tests.page.parts import row
from tests.served import FAKE_UUID, Served
from tests.waiting import patience

LIVE = re.compile('^Live$')


def test_what_others_do_shows(look, emulator):
    """A create, a change and a delete of another client, without a reload."""
    page = look()
    page.goto(f'{page.url}#/systems/{emulator.system}')
    count = page.get_by_role('option', name=re.compile('^fake,'))
    expect(page.get_by_text(LIVE)).to_be_visible()
    emulator.created(Name='clean')
    expect(row(page, 'clean')).to_be_visible()
    expect(count).to_have_accessible_name(re.compile('1 snapshot, on clean'))
    emulator.created(Name='tested')
    expect(row(page, 'tested')).to_be_visible()
    url = f'{emulator.snapshots_url}/clean'
    emulator.wait(
        requests.post(f'{url}/Actions/HawkFishSnapshot.Revert', timeout=60)
    )
    expect(page.get_by_role('treeitem').first).to_have_accessible_name(
        'The system is here, on clean'
    )
    url = f'{emulator.snapshots_url}/tested'
    emulator.wait(requests.delete(url, timeout=60))
    expect(row(page, 'tested')).to_have_count(0)
    expect(count).to_have_accessible_name(re.compile('1 snapshot'))


def test_a_tab_has_one_stream(look, emulator):
    """Whatever is opened in it, and none after it."""
    page = look()
    expect(page.get_by_text(LIVE)).to_be_visible()
    before = len(_streams(emulator))
    places = {f'systems/{emulator.system}': 'fake', 'tasks': 'Tasks'}
    for place, heading in {**places, 'events': 'Events'}.items():
        page.goto(f'{emulator.url}/hawkfish/#/{place}')
        expect(page.get_by_role('heading', name=heading)).to_be_visible()
    assert len(_streams(emulator)) == before


def _streams(emulator):
    answer = requests.get(
        f'{emulator.url}/redfish/v1/EventService/Subscriptions?$expand=.',
        timeout=60,
    )
    return [
        one
        for one in answer.json()['Members']
        if one['SubscriptionType'] == 'SSE'
    ]


@pytest.fixture
def mortal(tmp_path):
    """An emulator in a process of its own."""
    served = Served(tmp_path)
    yield served.start()
    served.stop()


def test_an_emulator_that_comes_back(browser, mortal):
    """A lost stream is said; what happened meanwhile shows afterwards."""
    mortal.create(FAKE_UUID, Name='clean')
    with browsers.looking(
        browser, mortal.url, expected='Failed to load resource: net::ERR_'
    ) as page:
        page.goto(f'{page.url}#/systems/{FAKE_UUID}')
        expect(row(page, 'clean')).to_be_visible()
        expect(page.get_by_text(LIVE)).to_be_visible()
        mortal.stop()
        expect(
            page.get_by_role('status').filter(has_text='Not live')
        ).to_be_visible()
        mortal.start()
        mortal.create(FAKE_UUID, Name='meanwhile')
        expect(row(page, 'meanwhile')).to_be_visible()
        expect(page.get_by_text(LIVE)).to_be_visible(
            timeout=1000 * patience(60)
        )
        expect(page.get_by_role('alert').filter(has_text='.')).to_have_count(0)


def test_where_there_is_no_stream_left(browser, tmp_path):
    """A tab that gets none says so, and shows what has happened anyway."""
    served = Served(tmp_path, OS_EVENTS__MAX_STREAMS='1')
    try:
        url = served.start().url
        with (
            browsers.looking(browser, url) as first,
            browsers.looking(browser, url, refused=[503]) as second,
        ):
            expect(first.get_by_text(LIVE)).to_be_visible()
            second.goto(f'{second.url}#/systems/{FAKE_UUID}')
            status = second.get_by_role('status')
            expect(status.filter(has_text='Not live')).to_be_visible()
            served.create(FAKE_UUID, Name='clean')
            expect(row(second, 'clean')).to_be_visible(
                timeout=1000 * patience(40)
            )
    finally:
        served.stop()
