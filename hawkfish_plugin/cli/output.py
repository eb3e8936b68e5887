# SPDX-License-Identifier: Apache-2.0
"""
Output to the terminal of the user.

Owns the escaping of text from a server, and the progress line. Anyone who can
create a snapshot chooses its name and description, so control characters in
them are never printed unescaped.
"""

import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from sushy.resources.taskservice import task

TO_LINE_START = '\r\x1b[K'
BAR_WIDTH = 20


def printable(text: str) -> str:
    """Return *text* with control characters as Python escapes."""
    return ''.join(
        char
        if char.isprintable()
        else char.encode('unicode_escape').decode('ascii')
        for char in text
    )


def cell(value: Any, separator: str) -> Any:
    """Return *value* as one cell of a table, safe to print."""
    if value is None:
        return ''
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return separator.join(map(printable, value))
    return value


def size(count: int | None) -> str | None:
    """Return a number of bytes in a readable unit; None stays None."""
    if count is None:
        return None
    value, unit = float(count), 'B'
    for larger in ('KiB', 'MiB', 'GiB', 'TiB', 'PiB'):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f'{value:.0f} {unit}' if unit == 'B' else f'{value:.1f} {unit}'


class Progress:
    """A progress line for a task, on terminals only."""

    def __init__(self, stream: TextIO, quiet: bool) -> None:
        self._stream = stream if stream.isatty() and not quiet else None

    def __call__(self, task: 'task.Task') -> None:
        if self._stream is None:
            return
        steps = [message.message or '' for message in task.messages or ()]
        step = steps[-1] if steps else task.name
        percent = task.percent_complete or 0
        filled = '#' * (percent * BAR_WIDTH // 100)
        line = f'[{filled:<{BAR_WIDTH}}] {percent:3d}% {printable(step)}'
        width = os.get_terminal_size(self._stream.fileno()).columns
        self._stream.write(TO_LINE_START + line[: (width or 80) - 1])
        self._stream.flush()

    def __enter__(self) -> 'Progress':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream:
            self._stream.write(TO_LINE_START)
            self._stream.flush()


def needs(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Each of the ``Needs`` of a preview in a line."""
    return [
        f'{need["Folder"]}: {size(need["NeededBytes"])} of '
        f'{size(need["AvailableBytes"])}'
        for need in found
    ]
