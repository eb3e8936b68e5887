# SPDX-License-Identifier: Apache-2.0
"""
The interactive shell of ``hawkfish``.

Owns two fixes for cliff, which removes the quotes of a line and joins its
words with blanks, so that a name with a blank becomes two, and which completes
as an old cmd2 wanted it.
"""

import shlex
from typing import TYPE_CHECKING, Any

import cmd2
from cliff import interactive

from hawkfish_plugin.cli import completion

if TYPE_CHECKING:
    from hawkfish_plugin.cli import app


class Shell(interactive.InteractiveApp):
    """The shell of cliff, but it preserves quoting."""

    parent_app: 'app.HawkFishApp'

    def precmd(self, statement: Any) -> Any:
        line = cmd2.Cmd.precmd(self, statement)
        try:
            _, name, words = self.command_manager.find_command(
                self._split_line(line)
            )
        except ValueError:
            return line
        return cmd2.Statement(shlex.join(words), raw=line.raw, command=name)

    def complete(
        self,
        text: str,
        line: str,
        begidx: int,
        endidx: int,
        custom_settings: Any = None,
    ) -> cmd2.Completions:
        found: cmd2.Completions = super().complete(
            text, line, begidx, endidx, custom_settings
        )
        if begidx or custom_settings is not None:
            return found
        # Those of cmd2 are of one word.
        ours = completion.candidates(self.parent_app, line[:endidx])
        return cmd2.Completions.from_values([*found.to_strings(), *ours])

    def completedefault(  # type: ignore[override]
        self, text: str, line: str, begidx: int, endidx: int
    ) -> cmd2.Completions:
        return cmd2.Completions.from_values(
            completion.candidates(self.parent_app, line[:endidx])
        )
