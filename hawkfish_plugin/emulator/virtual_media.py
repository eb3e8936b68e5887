# SPDX-License-Identifier: Apache-2.0
"""
What the emulator notes of virtual media, after a revert.

Owns the keeping of that note in step with the drives.  The emulator notes
which medium it has inserted where, and a revert changes what is in the drives
behind its back; whatever it then says of them would be of another time.
"""

import posixpath
from collections.abc import Mapping
from typing import Any


def follow(
    vmedia: Any,
    identity: str,
    device: str,
    uuid: str,
    drives: Mapping[str, str],
) -> None:
    """
    Let the note of one *device* say what is in its drive.

    *vmedia* is the emulator's driver of virtual media, *identity* what the
    request calls the system; *drives* are the files in the drives of the
    system *uuid*, by the emulator's names of the devices.
    """
    notes = vmedia._devices
    note = notes.get((identity, device))
    path = drives.get(device, '')
    if note is None or path == _noted_file(note, uuid, path):
        return
    # This removes the emulator's own copy too, which nothing needs any more.
    vmedia.eject_image(identity, device)
    if path:
        notes[(identity, device)] = {
            **notes[(identity, device)],
            'Inserted': True,
            'ImageName': posixpath.basename(path),
            'WriteProtected': True,
        }


def _noted_file(note: Mapping[str, Any], uuid: str, path: str) -> str:
    """The file that must be in the drive if the note is true."""
    if not note.get('Inserted'):
        return ''
    # The emulator uploads its copy under another name.
    local = note.get('_local_file')
    name = note.get('ImageName', '')
    if local:
        stem = posixpath.basename(local).replace('.', '-')
        name = f'{stem}-{uuid}.img'
    return posixpath.join(posixpath.dirname(path), name)
