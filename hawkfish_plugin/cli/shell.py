# SPDX-License-Identifier: Apache-2.0
"""
The interactive shell of ``hawkfish``.

Owns a fix for cliff, which removes the quotes of a line and joins its words
with blanks, so that a name with a blank becomes two.
"""

import shlex
from typing import Any

import cmd2
from cliff import interactive


class Shell(interactive.InteractiveApp):
    """The shell of cliff, but it preserves quoting."""

    def precmd(self, statement: Any) -> Any:
        line = cmd2.Cmd.precmd(self, statement)
        try:
            _, name, words = self.command_manager.find_command(
                self._split_line(line)
            )
        except ValueError:
            return line
        return cmd2.Statement(shlex.join(words), raw=line.raw, command=name)
