# SPDX-License-Identifier: Apache-2.0
"""
The bounds of what clients can make grow, in the documentation.

Owns the directive ``bounds``: a table of all of them, as the code has them.
"""

from typing import Any

from docutils.parsers.rst.directives.tables import ListTable
from docutils.statemachine import StringList

from hawkfish_plugin import bounds


class Bounds(ListTable):
    """A table of ``hawkfish_plugin.bounds.ALL``."""

    has_content = False

    def run(self) -> list[Any]:
        rows = [('What', 'At most', 'Then')]
        rows += [(b.what, b.most, b.then) for b in bounds.ALL]
        lines = []
        for what, most, then in rows:
            lines += [f'* - {what}', f'  - {most}', f'  - {then}']
        self.options |= {'header-rows': 1, 'widths': [40, 30, 30]}
        self.content = StringList(lines, source='bounds.py')
        return list(super().run())


def setup(app: Any) -> dict[str, bool | int]:
    app.add_directive('bounds', Bounds)
    return {'parallel_read_safe': True}
