# SPDX-License-Identifier: Apache-2.0
"""
Drawings of trees, in the documentation.

Owns the directive ``tree``.  Its argument says in words what the drawing
shows.  Its content is one node a line, indented below what it has grown from:
a mark, a name and, after a colon, a note.  The marks are ``*`` for where a
system is, ``+`` for what may be done, ``-`` for what may not, ``=`` for what
is neither, and ``~`` for a file of somebody else.
"""

import dataclasses
import html
from collections.abc import Iterator, Sequence
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROW, STEP, LEFT, RADIUS = 30, 26, 14, 6
# Of a letter, about; nothing is cut off where it is more.
LETTER = 8.6
KINDS = {
    '*': 'system',
    '+': 'yes',
    '-': 'no',
    '=': 'plain',
    '~': 'other',
}


@dataclasses.dataclass
class Row:
    """One node, in the row *number*."""

    number: int
    depth: int
    kind: str
    name: str
    note: str
    parent: 'Row | None'

    @property
    def x(self) -> int:
        return LEFT + self.depth * STEP

    @property
    def y(self) -> int:
        return ROW // 2 + self.number * ROW


class Drawn(nodes.General, nodes.Element):
    """A drawing; *alt* says what it shows, *text* is its content."""


def read(lines: Sequence[str]) -> list[Row]:
    """The rows of the content of the directive."""
    rows: list[Row] = []
    open_: list[tuple[int, Row]] = []
    for line in lines:
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        mark, _, rest = line.strip().partition(' ')
        name, _, note = rest.partition(' : ')
        while open_ and open_[-1][0] >= indent:
            open_.pop()
        parent = open_[-1][1] if open_ else None
        row = Row(len(rows), len(open_), KINDS[mark], name, note, parent)
        rows.append(row)
        open_.append((indent, row))
    return rows


def svg(rows: Sequence[Row], alt: str) -> str:
    """The drawing of *rows*; its colours are those of the page."""
    notes = max(row.x + 16 + len(row.name) * LETTER for row in rows) + 14
    width = max(notes + len(row.note) * LETTER for row in rows) + 10
    height = len(rows) * ROW
    return ''.join(
        [
            f'<svg class="tree" role="img" viewBox="0 0 {width:.0f} {height}"'
            f' width="{width:.0f}" height="{height}">',
            f'<title>{html.escape(alt)}</title>',
            *_shapes(rows, notes),
            '</svg>\n',
        ]
    )


def _shapes(rows: Sequence[Row], notes: float) -> Iterator[str]:
    for row in rows:
        if row.parent:
            x, y = row.parent.x, row.parent.y
            yield f'<path class="{row.kind}" d="M{x} {y}V{row.y}H{row.x}"/>'
    for row in rows:
        text = html.escape(row.name)
        yield (
            f'<circle class="{row.kind}" cx="{row.x}" cy="{row.y}" '
            f'r="{RADIUS}"/><text class="{row.kind}" x="{row.x + 16}" '
            f'y="{row.y + 5}">{text}</text>'
        )
        if row.note:
            yield (
                f'<text class="note" x="{notes:.0f}" y="{row.y + 5}">'
                f'{html.escape(row.note)}</text>'
            )


class Tree(SphinxDirective):
    """A drawing of a tree."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        alt = ' '.join(self.arguments[0].split())
        rows = read(self.content)
        text = '\n'.join(
            '   ' * row.depth
            + row.name
            + (f': {row.note}' if row.note else '')
            for row in rows
        )
        return [Drawn('', svg=svg(rows, alt), text=f'{alt}\n\n{text}')]


def _html(self: Any, node: Drawn) -> None:
    self.body.append(node['svg'])
    raise nodes.SkipNode


def _text(self: Any, node: Drawn) -> None:
    self.new_state(0)
    self.add_text(node['text'])
    self.end_state(wrap=False)
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_node(Drawn, html=(_html, None), text=(_text, None))
    app.add_directive('tree', Tree)
    return {'parallel_read_safe': True}
