# SPDX-License-Identifier: Apache-2.0
"""
The service validator of the DMTF, and what it says of each resource.

It reads the DMTF's CSDL from the folder that ``HAWKFISH_DMTF_SCHEMAS`` names,
and ours from the service.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from tests.served import BIN

SCHEMAS = os.environ.get('HAWKFISH_DMTF_SCHEMAS')
# These would beat the validators' own options.
CA_VARIABLES = ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE')

# What the service itself adds; the rest is the emulator's, its task 42 too.
OURS = re.compile(
    r'/redfish/v1/('
    r'Systems/[^/]+/(Oem/HawkFish|LogServices)|Managers/HawkFish'
    r'|TaskService|SessionService|JsonSchemas'
    r'|EventService|AggregationService|Registries/(Base|HawkFish|ResourceEvent|TaskEvent)\.)'
    r'(?!.*Tasks/42$)'
)
_RESULT = re.compile(
    r'^Validating (\S+)\.\.\.$(?:\n(?!Validating ).*)*?'
    r'\n  - Pass: \d+, Warn: (\d+), Fail: (\d+), Skip: \d+$',
    re.MULTILINE,
)

needs_schemas = pytest.mark.skipif(
    not SCHEMAS, reason='HAWKFISH_DMTF_SCHEMAS names no folder of CSDL files'
)

Results = dict[str, tuple[int, int]]


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in CA_VARIABLES}


def validate(
    url: str, username: str, password: str, folder: pathlib.Path
) -> Results:
    """Warnings and failures of each resource, by its URI."""
    pytest.importorskip('redfish_service_validator')
    # The validator writes what it gets from the Internet beside them.
    schemas = folder / 'schemas'
    shutil.copytree(SCHEMAS or '', schemas)
    done = subprocess.run(
        [
            BIN / 'rf_service_validator',
            '-u',
            username,
            '-p',
            password,
            '-r',
            url,
            '--authtype',
            'Basic',
            '--schema_directory',
            schemas,
            '--logdir',
            folder / 'report',
        ],
        capture_output=True,
        text=True,
        timeout=500,
        env=environment(),
    )
    found = {
        uri: (int(warnings), int(failures))
        for uri, warnings, failures in _RESULT.findall(done.stdout)
    }
    assert len(found) > 20, done.stdout + done.stderr
    return found


def of_ours(results: Results) -> Results:
    return {u: r for u, r in results.items() if OURS.match(u)}
