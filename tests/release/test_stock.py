# SPDX-License-Identifier: Apache-2.0
"""The emulator's own unit tests, with the plugin in it and without."""

import os
import pathlib
import re
import subprocess
import sys

import pytest
import sushy_tools

from tests.served import ACTIVATE

# They are listed in doc/source/reference/stock-changes.rst as well.  These
# compare the whole service root, which gains its link to Tasks.
MEANT = {
    'CommonTestCase::test_root_resource_minimum',
    'CommonTestCase::test_root_resource_only_vmedia',
}
# And these expect what the option mend_emulator mends.
MENDED = {
    'ChassisTestCase::test_chassis_thermal',
    'ConditionalResourceAdvertisingTestCase::'
    'test_bios_advertised_when_supported',
    'UpdateServiceTestCase::test_update_service_get',
    'UpdateServiceTestCase::test_update_service_invalid_params',
}


def failures(**environment: str) -> set[str]:
    # The tests read their data from below this folder.
    folder = pathlib.Path(sushy_tools.__file__).parents[1]
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'pytest',
            'sushy_tools/tests/unit',
            '-q',
            '-p',
            'no:cacheprovider',
            '-c',
            os.devnull,
            '--rootdir',
            folder,
            '--continue-on-collection-errors',
        ],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    count = re.search(r'(\d+) passed', done.stdout)
    assert count and int(count[1]) > 200, done.stdout[-4000:]
    return set(re.findall(r'^FAILED \S+?::(\S+)', done.stdout, re.MULTILINE))


@pytest.fixture(scope='module')
def without():
    """What fails without the plugin."""
    return failures()


@pytest.mark.parametrize(
    'mend, meant', [('false', MEANT), ('true', MEANT | MENDED)]
)
def test_stock_behaviour_is_unchanged(tmp_path, without, mend, meant):
    """What passes without the plugin passes with it, but for what we mean."""
    config = tmp_path / 'emulator.conf'
    config.write_text(ACTIVATE)

    found = failures(
        SUSHY_EMULATOR_CONFIG=str(config),
        OS_HAWKFISH__STATE_DIR=str(tmp_path / 'state'),
        OS_HAWKFISH__MEND_EMULATOR=mend,
    )

    assert not (found - without) ^ meant
