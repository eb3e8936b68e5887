# SPDX-License-Identifier: Apache-2.0
"""A short run of the fuzzer; ``make fuzz`` runs it for an hour."""

import hypothesis
import pytest
from sushy_tools.emulator import main

from hawkfish_plugin import plugin
from tests.fuzz import asking, running
from tests.served import Served


@pytest.fixture
def process(tmp_path):
    made = Served(tmp_path).start()
    yield made
    made.stop()


def test_no_request_is_answered_by_a_fault_of_ours(process):
    """Whatever its path, method, headers, query and body."""
    plugin.setup(main.app)
    report = running.Report()

    @hypothesis.given(asking.requests_to(main.app))
    @hypothesis.settings(
        max_examples=3000,
        deadline=None,
        # New ones are what ``make fuzz`` is for.
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def run(request):
        running.ask(process, request, report)

    run()

    # It gets past the first checks; how far, depends on the time.
    assert {200, 400, 404, 405} <= set(report.ours)
