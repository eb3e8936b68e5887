# SPDX-License-Identifier: Apache-2.0
"""
Who answers for what acts when nobody asks: schedules and subscriptions.
"""

import os
from typing import NamedTuple


class Owner(NamedTuple):
    """The user *name* in the *file* of users of the emulator that it used."""

    name: str
    file: str

    @classmethod
    def of(cls, name: str | None, file: str | None) -> 'Owner | None':
        """That of two columns; None where nobody was asked who it is."""
        if name is None or file is None:
            return None
        # Other processes may have another working directory.
        return cls(name, os.path.abspath(file))

    @staticmethod
    def columns(owner: 'Owner | None') -> tuple[str | None, str | None]:
        return owner or (None, None)

    def file_now(self, present: str | None) -> str | None:
        """
        The file that knows the account now; None: there is none any more.

        *present* is that of this emulator: another one may have another, but
        one that is not there any more was moved.
        """
        return self.file if os.path.exists(self.file) else present
