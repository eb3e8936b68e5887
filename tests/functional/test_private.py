# SPDX-License-Identifier: Apache-2.0
"""Files of snapshots hold the secrets of a guest, and are its owner's only."""

import pytest

from tests.lab.domains import Disk
from tests.lab.host import IMAGES

pytestmark = pytest.mark.once

DISKS = (Disk(), Disk(format='raw'), Disk(volume=True))


@pytest.mark.parametrize('power', ['running', 'off'])
def test_no_file_is_readable_by_others(
    make_system, emulator, host, external, power
):
    """Overlays and memory files are closed, and work as overlays."""
    if not external:
        pytest.skip('an internal snapshot has no files of its own')
    system = make_system(disks=DISKS).boot()
    system.write('one')
    if power == 'off':
        system.domain.destroy()

    emulator.create(system.uuid, Name='s')

    files = list(host.path(IMAGES).glob('hawkfish-*'))
    assert len(files) == len(DISKS) + (power == 'running')
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {'0o600'}
    if power == 'off':
        system.boot()
    assert system.read() == {'one'}
    system.write('two')
    emulator.revert(system.uuid, 's')
    if power == 'off':
        system.boot()
    assert system.read() == {'one'}
    emulator.delete(system.uuid, 's')
    assert system.read() == {'one'}
    assert system.leftovers() == []
