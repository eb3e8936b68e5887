# SPDX-License-Identifier: Apache-2.0
"""
Typed records that are stored as JSON.

Owns how the arguments and the journal of an operation are written into the
state database and read again, possibly by a later release: what a row does not
have takes its default, and what a release no longer knows is left alone.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self


def field(default: Any, formerly: str) -> Any:
    """A field that an older release stored under the name *formerly*."""
    return dataclasses.field(default=default, metadata={'formerly': formerly})


@dataclasses.dataclass(frozen=True)
class Record:
    """The base of records; every field but those of 1.0 has a default."""

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """
        The record in *stored*, which may hold others as well.

        Raises TypeError where a field that has no default is missing.
        """
        found = {}
        for spec in dataclasses.fields(cls):
            formerly = spec.metadata.get('formerly', spec.name)
            for name in (formerly, spec.name):
                if name in stored:
                    found[spec.name] = stored[name]
        return cls(**found)

    def dump(self) -> dict[str, Any]:
        """The record as JSON has it."""
        return dataclasses.asdict(self)
