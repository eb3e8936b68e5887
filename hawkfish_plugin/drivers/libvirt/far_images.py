# SPDX-License-Identifier: Apache-2.0
"""
Images that stand on files of another directory.

The ledger looks into pools, and where definitions lead.  Once a disk is
detached, nothing leads to its image in a directory that no pool has, and what
it stands on looks as if nobody needed it.  So what was seen there is
remembered, for as long as what it stands on may be there.
"""

import time
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Sequence,
)

from hawkfish_plugin.drivers.sharing import FarImage, FarImageNotes

# That an image was seen is not written down at each look.
_NOTED_SECONDS = 86_400
# A file system that is not mounted looks like a directory without files, or
# like none; it may be mounted again.
_REMEMBERED_SECONDS = 90 * 86_400


class _OfThisProcess:
    """What is remembered without a place to write it down."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], FarImage] = {}

    def all(self) -> Sequence[FarImage]:
        return list(self._known.values())

    def change(
        self, seen: Iterable[FarImage], gone: Iterable[FarImage]
    ) -> None:
        for image in gone:
            self._known.pop((image.path, image.base), None)
        self._known |= {(image.path, image.base): image for image in seen}


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
        self,
        found: Collection[tuple[str, str]],
        known: Sequence[FarImage],
        is_there: Callable[[str], bool | None],
    ) -> None:
        """
        Remember what was *found*, and forget what nobody can need.

        *known* is what was remembered before; *is_there* says of a path
        whether it was there, and None where that was not to be seen.
        """
        now = int(time.time())
        noted = {(image.path, image.base): image for image in known}
        seen = [
            FarImage(*pair, now)
            for pair in found
            if pair not in noted or now - noted[pair].seen > _NOTED_SECONDS
        ]
        gone = [
            image
            for pair, image in noted.items()
            if pair not in found and _is_over(image, is_there, now)
        ]
        if seen or gone:
            notes = self._notes()
            notes.change(seen, gone)


def _is_over(
    image: FarImage, is_there: Callable[[str], bool | None], now: int
) -> bool:
    """Whether *image*, or what it stands on, is gone for good."""
    base = is_there(image.base)
    if base is False or is_there(image.path) is False:
        return True
    return base is None and now - image.seen > _REMEMBERED_SECONDS
