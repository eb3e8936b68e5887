# SPDX-License-Identifier: Apache-2.0
"""
The service validator of the DMTF, and what it says of each resource.

It reads the DMTF's CSDL from the folder that ``HAWKFISH_DMTF_SCHEMAS`` names,
and ours from the service.  The interop validator is here too, for the profile
of Ironic that ``HAWKFISH_IRONIC_PROFILE`` names.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from hawkfish_plugin import messages
from tests.served import BIN

SCHEMAS = os.environ.get('HAWKFISH_DMTF_SCHEMAS')
PROFILE = os.environ.get('HAWKFISH_IRONIC_PROFILE')
# These would beat the validators' own options.
CA_VARIABLES = ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE')

# What the service itself adds; the rest is the emulator's, its task 42 too.
OURS = re.compile(
    r'/redfish/v1/('
    r'Systems/[^/]+/(Oem/HawkFish|LogServices)|Managers/HawkFish'
    r'|TaskService|SessionService|JsonSchemas'
    r'|EventService|AggregationService|AccountService|JobService'
    r'|Registries/(Base|HawkFish|ResourceEvent|TaskEvent)\.'
    r'|Registries/PrivilegeRegistry)'
    r'(?!.*Tasks/42$)'
)
_RESULT = re.compile(
    r'^Validating (\S+)\.\.\.$(?:\n(?!Validating ).*)*?'
    r'\n  - Pass: \d+, Warn: (\d+), Fail: (\d+), Skip: \d+$',
    re.MULTILINE,
)

_SUMMARY = re.compile(r'^\|' + 4 * r'\s+(\d+)\s+\|' + '$', re.MULTILINE)

needs_schemas = pytest.mark.skipif(
    not SCHEMAS, reason='HAWKFISH_DMTF_SCHEMAS names no folder of CSDL files'
)
needs_profile = pytest.mark.skipif(
    not PROFILE, reason='HAWKFISH_IRONIC_PROFILE names no profile'
)

Results = dict[str, tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class Figures:
    """What a validator counts, in the order of its summary."""

    passed: int
    warned: int
    failed: int
    not_tested: int


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in CA_VARIABLES}


def validate(
    url: str, username: str, password: str, folder: pathlib.Path
) -> tuple[Results, Figures]:
    """
    Warnings and failures of each resource, by its URI, and the summary.

    Of the warnings, the summary has none for the ``Severity`` in our
    registries: each of their messages must have it, see ``deprecated``.
    """
    pytest.importorskip('redfish_service_validator')
    # The validator writes what it gets from the Internet beside them.
    schemas = folder / 'schemas'
    shutil.copytree(SCHEMAS or '', schemas)
    printed = _run(
        'rf_service_validator',
        *('--schema_directory', schemas),
        *('-u', username, '-p', password, '-r', url),
        *('--logdir', folder / 'report'),
    )
    found = {
        uri: (int(warnings), int(failures))
        for uri, warnings, failures in _RESULT.findall(printed)
    }
    assert len(found) > 20, printed
    figures = _summary(printed)
    expected = sum(map(deprecated, found))
    return found, dataclasses.replace(
        figures, warned=figures.warned - expected
    )


def validate_profile(
    url: str, username: str, password: str, folder: pathlib.Path
) -> tuple[list[str], Figures]:
    """What fails of Ironic's interoperability profile, and the summary."""
    pytest.importorskip('redfish_interop_validator')
    printed = _run(
        'rf_interop_validator',
        *('-u', username, '-p', password, '-r', url),
        *('--logdir', folder / 'report', PROFILE),
    )
    (log,) = folder.glob('report/*/*Debug*.log')
    failed = re.findall(r' - FAIL - (.*)', log.read_text())
    return failed, _summary(printed)


def _run(program: str, *options: object) -> str:
    done = subprocess.run(
        [BIN / program, '--authtype', 'Basic', *map(str, options)],
        capture_output=True,
        text=True,
        timeout=500,
        env=environment(),
    )
    return done.stdout + done.stderr


def _summary(printed: str) -> Figures:
    found = _SUMMARY.findall(printed)
    assert len(found) == 1, printed
    return Figures(*map(int, found[0]))


def of_ours(results: Results) -> Results:
    return {u: r for u, r in results.items() if OURS.match(u)}


def deprecated(uri: str) -> int:
    """
    How many warnings a resource has for what it cannot be without.

    ``Severity`` of a message in a registry is deprecated and required.
    """
    for registry in messages.published().values():
        if uri.endswith(f'/Registries/{registry["Id"]}.json'):
            return len(registry['Messages'])
    return 0
