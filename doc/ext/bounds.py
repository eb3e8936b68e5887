# SPDX-License-Identifier: Apache-2.0
"""
The bounds of what clients can make grow, in the documentation.

Owns the directive ``bounds``: a table of all of them, as the code has them,
with the defaults of options.
"""

import re
from typing import Any

from docutils.parsers.rst.directives.tables import ListTable
from docutils.statemachine import StringList

from hawkfish_plugin import bounds, conf


class Bounds(ListTable):
    """A table of ``hawkfish_plugin.bounds.ALL``."""

    has_content = False

    def run(self) -> list[Any]:
        rows = [('What', 'At most', 'Then')]
        rows += [(b.what, _with_defaults(b.most), b.then) for b in bounds.ALL]
        lines = []
        for what, most, then in rows:
            lines += [f'* - {what}', f'  - {most}', f'  - {then}']
        self.options |= {'header-rows': 1, 'widths': [40, 30, 30]}
        self.content = StringList(lines, source='bounds.py')
        return list(super().run())


def _with_defaults(text: str) -> str:
    """*text* with the default of each option that it names."""
    defaults = {
        (group, option.name): option.default
        for group, options in conf.list_opts()
        for option in options
    }
    return re.sub(
        r'\[(\w+)\] (\w+)',
        lambda found: f'{found[0]} ({defaults[found.groups()]})',
        text,
    )


def setup(app: Any) -> dict[str, bool | int]:
    app.add_directive('bounds', Bounds)
    return {'parallel_read_safe': True}
