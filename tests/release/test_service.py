# SPDX-License-Identifier: Apache-2.0
"""The emulator as a service of a host: its unit, and the manual pages."""

import re
import subprocess
import sys

import pytest

from tests.packages import ROOT

UNIT = ROOT / 'etc/systemd/hawkfish-emulator.service'
SOURCES, PAGES = ROOT / 'doc/man', ROOT / 'man'
MOST_EXPOSED = 4.0


def test_the_unit_is_hardened():
    """By the judgement of systemd itself."""
    told = subprocess.run(
        ['systemd-analyze', 'security', '--offline=yes', UNIT],
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = re.search(r'Overall exposure level for \S+: ([\d.]+)', told.stdout)

    assert found, told.stdout + told.stderr
    assert float(found[1]) < MOST_EXPOSED


def test_the_unit_keeps_what_the_emulator_needs():
    """The state, the file of the clock's boot, and the socket of libvirt."""
    settings = [
        line.partition('=')[::2]
        for line in UNIT.read_text().splitlines()
        if '=' in line and not line.startswith('#')
    ]

    assert ('StateDirectory', 'hawkfish') in settings
    assert ('Environment', 'OS_HAWKFISH__STATE_DIR=%S/hawkfish') in settings
    # It would hide which boot this is, by which ``db`` tells times.
    assert 'ProcSubset' not in dict(settings)
    # Behind a user namespace the group of libvirt's socket is nobody's.
    assert 'PrivateUsers' not in dict(settings)
    assert 'AF_UNIX' in dict(settings)['RestrictAddressFamilies']


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """The manual pages as the documentation makes them now."""
    folder = tmp_path_factory.mktemp('man')
    subprocess.run(
        [
            *(sys.executable, '-m', 'sphinx', '-q', '-W', '-b', 'man'),
            *('-d', folder / 'doctrees', SOURCES, folder),
        ],
        check=True,
        timeout=300,
    )
    return folder


@pytest.mark.parametrize('page', ['hawkfish.1', 'hawkfish-emulator.1'])
def test_the_manual_pages_are_of_today(built, page):
    """They say what the documentation and --help do; ``make genman``."""
    assert (PAGES / page).read_text() == (built / page).read_text()


@pytest.mark.parametrize('page', ['hawkfish.1', 'hawkfish-emulator.1'])
def test_man_shows_the_manual_pages(page):
    """groff has no complaint, and there is a name that apropos can find."""
    shown = subprocess.run(
        ['groff', '-man', '-Tutf8', '-ww', '-b', PAGES / page],
        capture_output=True,
        text=True,
        timeout=60,
    )

    name = page.removesuffix('.1')
    assert (shown.returncode, shown.stderr) == (0, '')
    assert re.search(rf'{name} \S* ?.*snapshots', shown.stdout)
