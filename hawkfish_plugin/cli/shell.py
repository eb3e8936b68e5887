# SPDX-License-Identifier: Apache-2.0
"""
The shell that ``hawkfish`` is without a command.

Owns what cliff's own does to the words of a line: it joins them with blanks
after it has read the quotes, so that a name with a blank became two.
"""

import shlex
from typing import Any

import cmd2
from cliff import interactive


class Shell(interactive.InteractiveApp):
    """cliff's, with the words of a line left as they were quoted."""

    def precmd(self, statement: Any) -> Any:
        line = cmd2.Cmd.precmd(self, statement)
        try:
            _, name, words = self.command_manager.find_command(
                self._split_line(line)
            )
        except ValueError:
            return line
        return cmd2.Statement(shlex.join(words), raw=line.raw, command=name)
