# SPDX-License-Identifier: Apache-2.0
"""
What a look into a folder has told of the files in it.

The ledger looks into folders as a whole.  What is asked of a file of one of
them in the same decision was told by that look.
"""

import dataclasses
from collections.abc import Mapping, Set
from typing import NamedTuple

from hawkfish_plugin.drivers.libvirt import xml


class Seen(NamedTuple):
    """Whether a file is there, and its XML as far as it can be read."""

    is_there: bool
    text: str | None = None

    @property
    def described(self) -> xml.Element | None:
        return None if self.text is None else xml.parse(self.text)


@dataclasses.dataclass(frozen=True)
class Looked:
    """
    The *names* of all files in a folder, as it was read from the disk.

    *texts* are the XML of those that were read, by their names, and *space*
    the capacity and the free bytes of the file system.
    """

    names: Set[str]
    texts: Mapping[str, str]
    space: tuple[int, int] = (0, 0)

    def of(self, name: str) -> Seen | None:
        """What there is to be said of a file; None where it was not read."""
        if name not in self.names:
            return Seen(False)
        text = self.texts.get(name)
        return None if text is None else Seen(True, text)
