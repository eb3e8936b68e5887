# SPDX-License-Identifier: Apache-2.0
"""
Output to the terminal of the user.

Owns the escaping of text from a server, how messages fit a terminal, and the
progress lines. Anyone who can create a snapshot chooses its name and
description, so control characters in them are never printed unescaped.
"""

import os
import re
import textwrap
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from sushy.resources.taskservice import task

TO_LINE_START = '\r\x1b[K'
LINE_ABOVE = '\x1b[A\x1b[K'
BAR_WIDTH = 20

# What a message says to type next, which has to stay in one piece.
_COMMAND = re.compile(r'(?<=: )hawkfish .*$', re.MULTILINE)
_GLUE = '\0'


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


def width(stream: TextIO) -> int | None:
    """Return how wide the terminal is that *stream* is; None if none."""
    if not stream.isatty():
        return None
    return os.get_terminal_size(stream.fileno()).columns or 80


def wrapped(text: str, stream: TextIO) -> str:
    """
    Return *text* with lines that end between words where *stream* ends.

    Only on a terminal. A command at the end of a line is not broken.
    """
    columns = width(stream)
    if columns is None:
        return text
    glued = _COMMAND.sub(lambda found: found[0].replace(' ', _GLUE), text)
    lines = [
        textwrap.fill(
            line, columns, break_long_words=False, break_on_hyphens=False
        )
        for line in glued.split('\n')
    ]
    return '\n'.join(lines).replace(_GLUE, ' ')


def bar(task: 'task.Task', label: str = '') -> str:
    """Return a line with the progress of *task*, which *label* names."""
    steps = [
        message.message or ''
        for message in task.messages or ()
        # That a task has begun is what the line says anyway.
        if not str(message.message_id).startswith('TaskEvent.')
    ]
    step = steps[-1] if steps else task.name
    percent = task.percent_complete or 0
    filled = '#' * (percent * BAR_WIDTH // 100)
    words = ' '.join(filter(None, (label, step)))
    return f'[{filled:<{BAR_WIDTH}}] {percent:3d}% {printable(words)}'


def transfer(done: int, whole: int, seconds: float) -> str:
    """Return a line with the progress of a transfer of *whole* bytes."""
    percent = 100 * done // whole if whole else 100
    filled = '#' * (percent * BAR_WIDTH // 100)
    words = f'{size(done)} of {size(whole)}'
    if done and seconds >= 1:
        left = round((whole - done) * seconds / done)
        words += f', {left // 60}:{left % 60:02} left'
    return f'[{filled:<{BAR_WIDTH}}] {percent:3d}% {words}'


class Progress:
    """Lines that are replaced as work goes on, on terminals only."""

    def __init__(self, stream: TextIO, quiet: bool) -> None:
        self._stream = stream if stream.isatty() and not quiet else None
        self._height = 0

    @property
    def is_shown(self) -> bool:
        """Whether anyone sees it."""
        return self._stream is not None

    def draw(self, lines: Sequence[str]) -> None:
        """Show *lines*, as far as the terminal has room, and no others."""
        if self._stream is None:
            return
        size = os.get_terminal_size(self._stream.fileno())
        room = max(1, (size.lines or 24) - 1)
        shown = [line[: (size.columns or 80) - 1] for line in lines[:room]]
        self._erase(self._stream)
        self._stream.write('\n'.join(shown))
        self._stream.flush()
        self._height = len(shown)

    def _erase(self, stream: TextIO) -> None:
        above = max(0, self._height - 1)
        stream.write(TO_LINE_START + above * LINE_ABOVE)
        self._height = 0

    def __enter__(self) -> 'Progress':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream:
            self._erase(self._stream)
            self._stream.flush()
