# SPDX-License-Identifier: Apache-2.0
"""
Images that stand on files of another directory.

The ledger looks into active pools, and where definitions lead.  Once a disk is
detached, nothing leads to its image in another directory, or in that of a pool
that is stopped, and what it stands on looks as if nobody needed it.  So what
was seen there is remembered.
"""

import logging
import posixpath
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers.sharing import FarImage, FarImageNotes

LOG = logging.getLogger(__name__)

# So long a file system may not be mounted.
_REMEMBERED_SECONDS = 90 * 86_400


class _OfThisProcess:
    """What is remembered without a place to write it down."""

    def __init__(self) -> None:
        self._known: dict[str, FarImage] = {}

    def all(self) -> Sequence[FarImage]:
        return list(self._known.values())

    def change(
        self, noted: Iterable[FarImage], gone: Iterable[FarImage]
    ) -> None:
        for image in gone:
            self._known.pop(image.path, None)
        self._known |= {image.path: image for image in noted}


class FarImages:
    """Those of one host."""

    def __init__(self) -> None:
        here: FarImageNotes = _OfThisProcess()
        self._notes: Callable[[], FarImageNotes] = lambda: here
        self.raw: Set[str] = frozenset()
        """The files that guests wrote to as raw, whose headers they made"""

    def keep_in(self, notes: Callable[[], FarImageNotes]) -> None:
        """From now on, remember them in what *notes* returns."""
        self._notes = notes

    def all(self) -> Sequence[FarImage]:
        """All that are remembered."""
        notes = self._notes()
        return notes.all()

    def note(
        self,
        found: Mapping[str, str],
        folders: Set[str],
        known: Sequence[FarImage],
    ) -> None:
        """
        Remember what a look into *folders* has *found*.

        That is by its path what each image stands on.  *known* is what was
        remembered before.  What was not found may be on a file system that is
        not mounted, whatever else is in its place; so that it is gone is told
        by time alone, and where nobody has looked, by nothing.
        """
        now, former = int(time.time()), {image.path: image for image in known}
        seen = [FarImage(path, base) for path, base in found.items()]
        missed = [
            image
            for image in known
            if image.path not in found
            and posixpath.dirname(image.path) in folders
        ]
        gone = [
            image
            for image in missed
            if image.missed and now - image.missed > _REMEMBERED_SECONDS
        ]
        noted = [image for image in seen if former.get(image.path) != image]
        noted += [
            image._replace(missed=now) for image in missed if not image.missed
        ]
        if not noted and not gone:
            return
        notes = self._notes()
        try:
            notes.change(noted, gone)
        except exceptions.StateUnavailable as exc:
            # The next look tries again; this one may be a mere list.
            LOG.error('Images are not remembered: %s', messages.text(exc))

    def note_raw(self, found: Set[str], folders: Set[str]) -> None:
        """Let those that a look into *folders* has *found* be ``raw``."""
        unseen = {p for p in self.raw if posixpath.dirname(p) not in folders}
        self.raw = found | unseen
