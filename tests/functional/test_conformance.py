# SPDX-License-Identifier: Apache-2.0
"""The DMTF's service validator, against snapshots of a real hypervisor."""

import pytest

from tests.functional.conftest import SMALL
from tests.validator import dmtf

pytestmark = pytest.mark.once


@dmtf.needs_schemas
def test_nothing_to_say_about_what_is_ours(make_system, emulator, tmp_path):
    """The validator neither fails nor warns in what we serve."""
    system = make_system(**SMALL)
    emulator.create(system.uuid, Name='root', Description='as installed')
    emulator.create(system.uuid, Name='left')
    emulator.revert(system.uuid, 'root')
    emulator.create(system.uuid, Name='right')
    emulator.create(system.uuid, Name='gone')
    emulator.delete(system.uuid, 'gone')

    results = dmtf.of_ours(dmtf.validate(emulator.url, 'any', 'any', tmp_path))

    for part in (f'{system.uuid}/Oem/HawkFish/Snapshots/left', 'Tasks/'):
        assert any(part in uri for uri in results)
    assert not {u: r for u, r in results.items() if r != (0, 0)}
