# SPDX-License-Identifier: Apache-2.0
"""What a client may ask of every new snapshot, of a system or of a group."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class SnapshotOptions:
    """
    *quiesce* is as in ``contract.CreateRequest``, *expires* in seconds since
    the epoch.  *schedule* is the one that asks for it, and *moment* that of
    its run, in seconds, the same in all systems of a group.
    """

    description: str = ''
    quiesce: str | None = None
    locked: bool = False
    expires: int | None = None
    schedule: int | None = None
    moment: int = 0

    @property
    def scheduled(self) -> tuple[int, int] | None:
        """The schedule that asks for it, and the moment of its run."""
        return None if self.schedule is None else (self.schedule, self.moment)

    @property
    def common(self) -> dict[str, Any]:
        """These alone, as keywords for another one that has them."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(SnapshotOptions)
        }
