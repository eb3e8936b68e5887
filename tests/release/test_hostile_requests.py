# SPDX-License-Identifier: Apache-2.0
"""A part of what ``make hostile`` sends; all of it takes minutes."""

import itertools
import random

import pytest

from tests.hostile import bodies, destinations, queries, strangers
from tests.hostile.kills import Kills
from tests.hostile.target import Request, Target, guard, unguard

# There is one emulator in a process.
pytestmark = pytest.mark.xdist_group('hostile requests')

KILLS = 3


@pytest.fixture(scope='module')
def target(tmp_path_factory):
    return Target(tmp_path_factory.mktemp('hostile'))


@pytest.fixture
def guarded(target, tmp_path):
    guard(target, target.folder)
    yield target
    unguard(target)


def faults(target, requests, fault, every):
    """Of *requests*, ask some; returns those that went wrong."""
    found, asked, all_paths = [], set(), set()
    for number, request in enumerate(requests):
        path = request.path.partition('?')[0]
        all_paths.add(path)
        if number % every == 0:
            asked.add(path)
            answer = target.ask(request)
            if wrong := fault(request, answer):
                found.append((wrong, request, answer))
    assert len(asked) > 0.8 * len(all_paths)
    return found


def test_nobody_gets_past_authentication(guarded):
    """By no header, no method and no path."""
    before = guarded.state()

    found = faults(
        guarded, strangers.requests(guarded), strangers.fault, every=11
    )

    assert found == []
    assert guarded.state() == before


def test_a_fault_would_be_seen(target):
    """Where nobody is kept out, what strangers ask for is served."""
    asked = itertools.islice(strangers.requests(target), 0, 20_000, 13)
    answers = [
        (request, target.ask(request))
        for request in asked
        if request.method == 'GET'
    ]

    assert any(strangers.fault(*both) for both in answers)


def test_no_malformed_body_is_taken(target):
    """Each is refused with a message, and has changed nothing."""
    before = target.state()

    found = faults(target, bodies.requests(target), bodies.fault, every=9)

    assert found == []
    assert target.state() == before


def test_no_query_and_no_header_is_fatal(target):
    """They are refused or ignored."""
    found = faults(target, queries.requests(target), queries.fault, every=29)

    assert found == []


def test_events_go_where_they_may(target):
    """Whatever a destination looks like."""
    before = target.state()

    with destinations.restricted(target):
        found = faults(target, destinations.requests(), bodies.fault, every=1)

    assert found == []
    assert target.state() == before


def test_a_receiver_sends_events_nowhere(target):
    """Whatever it answers."""
    count, strayed = destinations.redirected(target)

    assert count > 40
    assert strayed == []


def test_every_write_is_known(target):
    """Those without a schema take no body, or a file; or read it elsewhere."""
    without = {
        route.endpoint
        for route in target.routes()
        if route.is_ours and route.methods & {'POST', 'PATCH'}
        if not route.bodies
    }

    assert without == {
        'hawkfish.abandon_task',
        'hawkfish.clear_log',
        'hawkfish.import_bundle',
        'hawkfish.resume_job',
        'hawkfish.suspend_job',
        'hawkfish.verify_backup',
        'hawkfish.verify_newest',
    }


def test_all_that_is_asked_for_is_there(target):
    """Requests about nothing would test nothing."""
    missing = {
        route.endpoint
        for route in target.routes()
        if route.is_ours
        and 'GET' in route.methods
        and target.ask(Request('GET', route.path)).status == 404
    }

    # The names of files are not those of snapshots, nothing is exported,
    # backed up, verified or scheduled, metrics are off, there are no users,
    # and no action or entry of the log has such a name.
    assert missing == {
        'hawkfish-monitoring.show_metrics',
        'hawkfish.show_account',
        'hawkfish.show_action_info',
        'hawkfish.show_entry',
        'hawkfish.show_job',
        'hawkfish.show_backup',
        'hawkfish.send_screenshot',
        'hawkfish.send_backup_screenshot',
        'hawkfish.send_bundle',
        'hawkfish.show_export',
        'hawkfish.show_csdl',
        'hawkfish.show_json_schema',
        'hawkfish.show_registry',
    }


def test_nothing_is_half_after_a_kill(tmp_path):
    """What was promised has an end, and groups are whole."""
    kills = Kills(tmp_path, random.Random(14))
    kills.begin()
    try:
        assert [kills.round() for _ in range(KILLS)] == [[]] * KILLS
    finally:
        kills.end()
