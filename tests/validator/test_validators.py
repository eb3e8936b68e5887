# SPDX-License-Identifier: Apache-2.0
"""The validators of the DMTF, against the whole service."""

import csv
import pathlib
import subprocess
import sys

import pytest

from tests.validator import dmtf, figures
from tests.validator.conftest import URL

HERE = pathlib.Path(__file__).parent
CONFORMANCE = HERE.parents[1] / 'doc/source/reference/conformance.rst'
REFERENCE = pytest.mark.skipif(
    bool(URL), reason='the figures are those of the fake driver'
)


def access(service):
    return service.url, service.username, service.password


@pytest.fixture(scope='module')
def report(service, tmp_path_factory):
    return dmtf.validate(*access(service), tmp_path_factory.mktemp('report'))


@pytest.fixture(scope='module')
def stock_report(stock, tmp_path_factory):
    return dmtf.validate(*access(stock), tmp_path_factory.mktemp('stock'))


def test_nothing_fails(report):
    """The service validator fails nothing of the whole service."""
    results, found = report

    assert not {u: r for u, r in results.items() if r[1]}
    assert not found.failed


def test_nothing_to_say_about_what_is_ours(report):
    """
    The service validator neither fails nor warns in what we serve.

    But in the registries it warns of each ``Severity``: see the page.
    """
    ours = dmtf.of_ours(report[0])

    for part in (
        'Snapshots',
        'TaskService/Tasks',
        'JobService/Jobs',
        'SessionService',
        'AccountService/Accounts',
        'AccountService/Roles',
        'AccountService/PrivilegeMap',
        'Registries/PrivilegeRegistry',
        'Managers/HawkFish/LogServices/Audit/Entries',
        'LogServices/Audit',
        'JsonSchemas',
        'Registries/HawkFish',
    ):
        assert any(part in uri for uri in ours), part
    assert not {u: r for u, r in ours.items() if r != (dmtf.deprecated(u), 0)}


@REFERENCE
def test_figures_of_the_service_validator(report, stock_report):
    """They are those of the documentation, for the emulator alone as well."""
    for service, (_, found) in (
        (figures.STOCK, stock_report),
        (figures.OURS, report),
    ):
        figures.check('Service', figures.FAKE, service, found)


@REFERENCE
def test_no_resource_of_the_emulator_is_worse(report, stock_report):
    """Its own resources warn no more than without the plugin."""
    results, before = report[0], stock_report[0]
    worse = {
        uri: (before[uri], results[uri])
        for uri in before
        if uri in results and results[uri][0] > before[uri][0]
    }
    # What is not served any more is what was dead.
    gone = set(before) - set(results)

    assert not worse
    assert not [uri for uri in gone if before[uri] != (0, 1)]


@REFERENCE
@dmtf.needs_profile
@pytest.mark.parametrize('name', ['stock', 'service'])
def test_profile_of_ironic(request, name, tmp_path):
    """What the fake driver lacks is documented."""
    service = request.getfixturevalue(name)
    failed, found = dmtf.validate_profile(*access(service), tmp_path)

    assert len(failed) == found.failed
    figures.check('Ironic profile', figures.FAKE, SERVICES[name], found)


SERVICES = {'stock': figures.STOCK, 'service': figures.OURS}


@REFERENCE
@pytest.mark.parametrize('name', ['stock', 'service'])
def test_protocol(request, name, tmp_path):
    """What fails of the protocol is little, and documented."""
    found, rows = validate_protocol(request.getfixturevalue(name), tmp_path)

    figures.check('Protocol', figures.FAKE, SERVICES[name], found)
    if name == 'service':
        documented = CONFORMANCE.read_text()
        failed = [row[0] for row in rows if 'FAIL' in row]
        assert not [name for name in failed if f'``{name}``' not in documented]


def validate_protocol(service, folder):
    """The summary of the protocol validator, and the rows of its report."""
    pytest.importorskip('redfish_protocol_validator')
    url, username, password = access(service)
    done = subprocess.run(
        [
            sys.executable,
            HERE / 'protocol.py',
            *('-u', username, '-p', password, '-r', url),
            *('--no-cert-check', '--avoid-http-redirect'),
            *('--report-dir', folder),
        ],
        capture_output=True,
        text=True,
        timeout=500,
        env=dmtf.environment(),
    )
    (report,) = folder.glob('*.tsv')
    with report.open(newline='') as lines:
        rows = list(csv.reader(lines, delimiter='\t'))
    found = dmtf.Figures(
        *(
            sum(result in row for row in rows)
            for result in ('PASS', 'WARN', 'FAIL', 'NOT_TESTED')
        )
    )
    assert found.passed > 90, done.stdout + done.stderr
    return found, rows
