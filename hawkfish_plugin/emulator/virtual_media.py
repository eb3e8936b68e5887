# SPDX-License-Identifier: Apache-2.0
"""
What the emulator notes of virtual media, after a revert.

Owns keeping that note in step with the drives.  The emulator notes which
image it has inserted where, and a revert changes what is in the drives behind
its back; until the next insertion it would show what was there before.
"""

from collections.abc import Mapping

import flask

from hawkfish_plugin.emulator import internals


def update_note(
    request: flask.Request, uuid: str, media: Mapping[str, str]
) -> None:
    """
    Let the note that *request* is about to read say what is in the drive.

    *media* are the files in the drives of the system *uuid*, by the
    emulator's names of its devices, Cd and Floppy.
    """
    app = flask.current_app
    # The note is kept under the name that the system was asked for by.
    identity = internals.system_of(request) or uuid
    device = internals.device_of(request)
    note = internals.media_note(app, identity, device)
    path = media.get(device, '')
    if note is None or _name(path) == internals.noted_file(note, uuid):
        return
    internals.note_ejected(app, identity, device)
    if path:
        internals.note_inserted(app, identity, device, path)


def _name(path: str) -> str:
    return path.rpartition('/')[2]
