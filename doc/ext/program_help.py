# SPDX-License-Identifier: Apache-2.0
"""The directive ``program-help``: what a program of ours says of itself."""

import os
import pathlib
import subprocess
import sys

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

_BIN = pathlib.Path(sys.executable).parent


class ProgramHelp(Directive):
    """``program-help:: PROGRAM``: the output of ``PROGRAM --help``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        told = subprocess.run(  # noqa: S603
            [str(_BIN / self.arguments[0]), '--help'],
            env={**os.environ, 'COLUMNS': '74', 'NO_COLOR': '1'},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return [nodes.literal_block(told, told)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive('program-help', ProgramHelp)
    return {'parallel_read_safe': True}
