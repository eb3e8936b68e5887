# SPDX-License-Identifier: Apache-2.0
"""What is left of broken-off operations is found at the next start."""

import contextlib
import json
import sqlite3

import pytest

from tests.functional.conftest import SMALL
from tests.lab.host import IMAGES
from tests.waiting import wait_for

pytestmark = pytest.mark.once

BEGUN = b'LibvirtQemudPart' + bytes(4096)
SAVED = b'LibvirtQemudSave' + bytes(4096)


def restart(emulator):
    emulator.stop()
    emulator.start()


def wait_gone(path):
    wait_for(lambda: not path.exists(), f'the end of {path}', pause=0.1)


def wait_told(emulator, count):
    """What the log has said of files, once it is *count* lines."""

    def told():
        lines = emulator.log().splitlines()
        return [line for line in lines if 'named like' in line]

    wait_for(lambda: len(told()) >= count, emulator.log, pause=0.1)
    return told()


def test_files_that_nothing_knows(served, make_system, host):
    """
    They stay, and are told: another service may have made them, on another
    host that sees the folder.
    """
    system = make_system(**SMALL, firmware='uefi')
    served.create(system.uuid, Name='s')
    kept = set(system.leftovers())
    folder = host.path(IMAGES)
    begun = folder / 'hawkfish-0123456789ab.mem'
    saved = folder / 'hawkfish-0123456789ac.mem'
    overlay = folder / 'hawkfish-0123456789ac-vda.qcow2'
    begun.write_bytes(BEGUN)
    saved.write_bytes(SAVED)
    overlay.write_bytes(b'data')

    restart(served)

    told = wait_told(served, 3)
    assert begun.exists()
    assert saved.exists()
    assert overlay.exists()
    assert kept <= set(system.leftovers())
    assert sum(begun.name in line for line in told) == 1
    assert sum(saved.name in line for line in told) == 1
    assert sum(overlay.name in line for line in told) == 1
    # Not one that a snapshot has: neither its overlay nor its firmware.
    assert len(told) == 3
    for path in (begun, saved, overlay):
        path.unlink()


def test_what_a_task_could_not_remove(served, make_system, host):
    """It is tried again, and what has come into use since is left alone."""
    system = make_system(**SMALL)
    served.create(system.uuid, Name='s')
    overlay = next(host.path(IMAGES) / name for name in system.leftovers())
    stale = host.path(IMAGES) / 'hawkfish-0123456789ad-vda.qcow2'
    stale.write_bytes(b'')
    served.stop()
    told = json.dumps(
        [
            ['HawkFish.1.0.CleanupFailed', [f'{IMAGES}/{path.name}', 'busy']]
            for path in (stale, overlay)
        ]
    )
    database = next((served.folder / 'state').glob('*/hawkfish.sqlite'))
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute('UPDATE tasks SET messages = ?', (told,))
        connection.commit()

    served.start()

    wait_gone(stale)
    assert overlay.exists()
