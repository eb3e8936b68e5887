# SPDX-License-Identifier: Apache-2.0
"""The validators of the DMTF, against the whole service."""

import csv
import pathlib
import subprocess
import sys

import pytest

from hawkfish_plugin import messages
from tests.validator import dmtf
from tests.validator.conftest import URL

HERE = pathlib.Path(__file__).parent
CONFORMANCE = HERE.parents[1] / 'doc/source/reference/conformance.rst'

MAX_PROTOCOL_FAILURES = 10


def validate(service, folder):
    return dmtf.validate(
        service.url, service.username, service.password, folder
    )


@pytest.fixture(scope='module')
def results(service, tmp_path_factory):
    return validate(service, tmp_path_factory.mktemp('report'))


def test_nothing_to_say_about_what_is_ours(results):
    """
    The service validator neither fails nor warns in what we serve.

    But in the registries it warns of each ``Severity``: see the page.
    """
    ours = dmtf.of_ours(results)

    for part in (
        'Snapshots',
        'TaskService/Tasks',
        'SessionService',
        'Managers/HawkFish/LogServices/Audit/Entries',
        'LogServices/Audit',
        'JsonSchemas',
        'Registries/HawkFish',
    ):
        assert any(part in uri for uri in ours), part
    assert not {u: r for u, r in ours.items() if r != (_deprecated(u), 0)}


def _deprecated(uri: str) -> int:
    """How often a resource has the ``Severity`` that registries must have."""
    for registry in messages.published().values():
        if uri.endswith(f'/Registries/{registry["Id"]}.json'):
            return len(registry['Messages'])
    return 0


@pytest.mark.skipif(bool(URL), reason='there is nothing to compare it with')
def test_no_resource_of_the_emulator_is_worse(results, stock, tmp_path):
    """Its own resources fail and warn no more than without the plugin."""
    before = validate(stock, tmp_path)
    worse = {
        uri: (before[uri], results[uri])
        for uri in before
        if uri in results
        and (
            results[uri][0] > before[uri][0]
            or results[uri][1] > before[uri][1]
        )
    }

    assert set(before) <= set(results)
    assert not worse
    assert sum(f for _, f in results.values()) <= sum(
        f for _, f in before.values()
    )


def test_protocol(service, tmp_path):
    """What fails of the protocol is little, and documented."""
    pytest.importorskip('redfish_protocol_validator')
    done = subprocess.run(
        [
            sys.executable,
            HERE / 'protocol.py',
            '-u',
            service.username,
            '-p',
            service.password,
            '-r',
            service.url,
            '--no-cert-check',
            '--avoid-http-redirect',
            '--report-dir',
            tmp_path,
        ],
        capture_output=True,
        text=True,
        timeout=500,
        env=dmtf.environment(),
    )
    (report,) = tmp_path.glob('*.tsv')
    with report.open(newline='') as lines:
        rows = list(csv.reader(lines, delimiter='\t'))
    passed = [row for row in rows if 'PASS' in row]
    failed = [row for row in rows if 'FAIL' in row]

    assert len(passed) > 150, done.stdout + done.stderr
    assert len(failed) <= MAX_PROTOCOL_FAILURES, failed
    documented = CONFORMANCE.read_text()
    assert not [row for row in failed if f'``{row[0]}``' not in documented]
    assert not [row for row in rows if 'WARN' in row]
