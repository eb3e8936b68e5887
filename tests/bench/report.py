# SPDX-License-Identifier: Apache-2.0
"""What was measured, as a table, as JSON and as pictures."""

import json
import math
import pathlib
import statistics
from collections.abc import Mapping, Sequence

from tests.bench.measure import Row

Curves = Mapping[str, Sequence[tuple[float, float]]]

# A hyphen would begin a list.
NONE = '–'  # noqa: RUF001
_COLOURS = ('#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee')
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 360, 60, 40


def table(rows: Sequence[Row]) -> str:
    """As the documentation has it too: a simple table of reStructuredText."""
    lines = [
        (
            'Measurement',
            'HawkFish',
            'Compared with',
            'The other',
            'Ratio',
            'Target',
            'Verdict',
            'The host',
        ),
        *(_cells(row) for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = '  '.join('=' * width for width in widths)
    text = [
        '  '.join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
    return '\n'.join([rule, text[0], rule, *text[1:], rule])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        _figure(row, row.ours),
        row.against,
        _figure(row, row.yardstick),
        NONE if row.ratio is None else f'{row.ratio:.2f}',
        NONE if row.target is None else f'{row.target}',
        row.verdict or NONE,
        row.limit or NONE,
    )


def _figure(row: Row, samples: Sequence[float]) -> str:
    """The median, and the least and the most."""
    if not samples:
        return NONE
    scale, unit = (1000, 'ms') if row.unit == 's' else (1, row.unit)
    figure = row.figure(samples) * scale
    if len(samples) == 1:
        return f'{figure:.1f} {unit}'
    low, high = min(samples) * scale, max(samples) * scale
    return f'{figure:.1f} {unit} ({low:.1f} to {high:.1f})'


def as_json(rows: Sequence[Row], curves: Mapping[str, Curves]) -> str:
    return json.dumps(
        {
            'rows': [
                {
                    'what': row.what,
                    'against': row.against,
                    'unit': row.unit,
                    'ours': list(row.ours),
                    'yardstick': list(row.yardstick),
                    'median': statistics.median(row.ours),
                    'ratio': row.ratio,
                    'target': row.target,
                    'verdict': row.verdict,
                    'limit': row.limit,
                }
                for row in rows
            ],
            'curves': curves,
        },
        indent=2,
    )


def draw(path: pathlib.Path, title: str, across: str, curves: Curves) -> None:
    """Curves of seconds as SVG, with logarithmic axes."""
    points = [point for curve in curves.values() for point in curve]
    least_x, most_x = (f(math.log10(x) for x, _ in points) for f in (min, max))
    least_y = math.floor(min(math.log10(y) for _, y in points))
    most_y = math.ceil(max(math.log10(y) for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        right = (math.log10(x) - least_x) / ((most_x - least_x) or 1)
        up = (math.log10(y) - least_y) / ((most_y - least_y) or 1)
        return (
            _LEFT + right * (_WIDTH - _LEFT - 170),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _BOTTOM - 40),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="20">{title}</text>',
        f'<text x="{_LEFT}" y="{_HEIGHT - 5}">{across}</text>',
    ]
    for power in range(least_y, most_y + 1):
        x, y = place(10**least_x, 10.0**power)
        right, _ = place(10**most_x, 1)
        parts.append(
            f'<path d="M{x:.0f} {y:.0f}H{right:.0f}" stroke="#ccc"/>'
            f'<text x="5" y="{y + 4:.0f}">{10.0**power:g} s</text>'
        )
    for x in sorted({x for x, _ in points}):
        at, _ = place(x, 1)
        parts.append(f'<text x="{at - 8:.0f}" y="{_HEIGHT - 22}">{x:g}</text>')
    for colour, (name, curve) in zip(_COLOURS, curves.items(), strict=False):
        places = [place(*point) for point in curve]
        path_of = 'L'.join(f'{x:.1f} {y:.1f}' for x, y in places)
        x, y = places[-1]
        parts.append(
            f'<path d="M{path_of}" fill="none" stroke="{colour}" '
            f'stroke-width="2"/>'
            f'<text x="{x + 8:.0f}" y="{y + 4:.0f}" fill="{colour}">'
            f'{name}</text>'
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join([*parts, '</svg>\n']))
