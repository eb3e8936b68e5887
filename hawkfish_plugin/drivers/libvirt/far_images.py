# SPDX-License-Identifier: Apache-2.0
"""
Images that stand on files of another directory.

The ledger looks into active pools, and where definitions lead.  Once a disk is
detached, nothing leads to its image in another directory, or in that of a pool
that is stopped, and what it stands on looks as if nobody needed it.  So what
was seen there is remembered.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers.sharing import FarImage, FarImageNotes

LOG = logging.getLogger(__name__)

# That an image was seen is not written down at each look.
_NOTED_SECONDS = 86_400
# So long a file system may not be mounted.
_REMEMBERED_SECONDS = 90 * 86_400


class _OfThisProcess:
    """What is remembered without a place to write it down."""

    def __init__(self) -> None:
        self._known: dict[str, FarImage] = {}

    def all(self) -> Sequence[FarImage]:
        return list(self._known.values())

    def change(
        self, seen: Iterable[FarImage], gone: Iterable[FarImage]
    ) -> None:
        for image in gone:
            self._known.pop(image.path, None)
        self._known |= {image.path: image for image in seen}


class FarImages:
    """Those of one host."""

    def __init__(self) -> None:
        here: FarImageNotes = _OfThisProcess()
        self._notes: Callable[[], FarImageNotes] = lambda: here

    def keep_in(self, notes: Callable[[], FarImageNotes]) -> None:
        """From now on, remember them in what *notes* returns."""
        self._notes = notes

    def all(self) -> Sequence[FarImage]:
        """All that are remembered."""
        notes = self._notes()
        return notes.all()

    def note(
        self, found: Mapping[str, str], known: Sequence[FarImage]
    ) -> None:
        """
        Remember what was *found*: by its path, what each image stands on.

        *known* is what was remembered before.  What was not found may be on a
        file system that is not mounted, whatever else is in its place; so
        that it is gone is told by its age alone.
        """
        now = int(time.time())
        noted = {image.path: image for image in known}
        seen = [
            FarImage(path, base, now)
            for path, base in found.items()
            if path not in noted
            or noted[path].base != base
            or now - noted[path].seen > _NOTED_SECONDS
        ]
        gone = [
            image
            for image in known
            if image.path not in found
            and now - image.seen > _REMEMBERED_SECONDS
        ]
        if not seen and not gone:
            return
        notes = self._notes()
        try:
            notes.change(seen, gone)
        except exceptions.StateUnavailable as exc:
            # The next look tries again; this one may be a mere list.
            LOG.error('Images are not remembered: %s', messages.text(exc))
