# SPDX-License-Identifier: Apache-2.0
"""
``hawkfish complete``, and what TAB offers in the interactive mode.

Owns what may follow a part of a command line: commands, options, their values,
and the names that the service has. The scripts for the shells ask this module
for each of them; whatever goes wrong, nothing is offered.
"""

import argparse
import contextlib
import glob
import io
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from hawkfish_plugin.cli import base, waiting

if TYPE_CHECKING:
    from hawkfish_plugin import client
    from hawkfish_plugin.cli import app as program

_SCRIPTS = {
    'bash': """\
_hawkfish() {
    local found
    COMPREPLY=()
    while IFS= read -r found; do
        COMPREPLY+=("$(printf %q "$found")")
    done < <(hawkfish complete --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -F _hawkfish hawkfish
""",
    'zsh': """\
#compdef hawkfish
_hawkfish() {
    local -a found
    local line="${(j: :)words[1,CURRENT]}"
    found=("${(@f)$(hawkfish complete --line "$line" 2>/dev/null)}")
    compadd -- ${found:#}
}
compdef _hawkfish hawkfish
""",
    'fish': """\
complete -c hawkfish -f -a \
'(hawkfish complete --line (commandline -cp) 2>/dev/null)'
""",
}


class Complete(base.Command):
    """
    Print a script that lets a shell complete commands, options and names.

    Bash: source <(hawkfish complete). Zsh: source <(hawkfish complete --shell
    zsh). Fish: hawkfish complete --shell fish | source.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--shell',
            choices=_SCRIPTS,
            default='bash',
            help='The shell; bash if not given.',
        )
        parser.add_argument('--line', help=argparse.SUPPRESS)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        if parsed_args.line is None:
            self.app.stdout.write(_SCRIPTS[parsed_args.shell])
            return
        _, _, typed = parsed_args.line.lstrip().partition(' ')
        for found in candidates(self.app, typed):
            self.app.stdout.write(f'{found}\n')


def candidates(app: 'program.HawkFishApp', line: str) -> list[str]:
    """Return what the last word of *line* may be meant to become."""
    try:
        words = shlex.split(line)
    except ValueError:
        return []
    current = '' if not line or line[-1].isspace() else words.pop()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            found = _after(app, words, current)
    except (Exception, SystemExit):
        # Nobody who presses a key wants to read why.
        return []
    return sorted({one for one in found if one.startswith(current)})


def _after(
    app: 'program.HawkFishApp', words: list[str], current: str
) -> Iterable[str]:
    options, rest = app.parser.parse_known_args(words)
    # Options of the program come first, and are the only ones before a word.
    names = [name.split() for name, _ in app.command_manager]
    if any(name[: len(rest)] == rest and name != rest for name in names):
        if current.startswith('-'):
            return _flags(app.parser)
        return [n[len(rest)] for n in names if n[: len(rest)] == rest != n]
    factory, name, typed = app.command_manager.find_command(rest)
    parser = factory(app, None).get_parser(name)
    if current.startswith('-'):
        return _flags(parser)
    return _values(parser, typed, current, lambda: app.client_for(options))


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    return [
        flag
        for action in parser._get_optional_actions()
        if action.help != argparse.SUPPRESS
        for flag in action.option_strings
        if flag.startswith('--')
    ]


def _values(
    parser: argparse.ArgumentParser,
    typed: Sequence[str],
    current: str,
    service: 'Callable[[], client.HawkFish]',
) -> Iterable[str]:
    """What may come after *typed*, the words after the command."""
    flags = {
        flag: action
        for action in parser._get_optional_actions()
        for flag in action.option_strings
    }
    plain: list[str] = []
    asked: argparse.Action | None = None
    for word in typed:
        if asked is None and word in flags:
            asked = flags[word] if flags[word].nargs != 0 else None
        elif asked is not None:
            asked = None
        else:
            plain.append(word)
    wanted = _positionals(parser, len(plain)) if asked is None else [asked]
    owner = plain[0] if plain else ''
    return [
        value
        for action in wanted
        for value in _of_action(action, current, owner, parser, service)
    ]


def _positionals(
    parser: argparse.ArgumentParser, count: int
) -> list[argparse.Action]:
    """The arguments that a word may be which *count* others precede."""
    known: list[argparse.Action] = parser._get_positional_actions()
    if not known or not count:
        return known[:1]
    again = known[:1] if known[0].nargs in ('*', '+') else []
    return again + known[1:]


def _of_action(
    action: argparse.Action,
    current: str,
    owner: str,
    parser: argparse.ArgumentParser,
    service: 'Callable[[], client.HawkFish]',
) -> Iterable[str]:
    if action.choices is not None:
        return map(str, action.choices)
    kind = action.metavar
    if kind == 'FILE':
        return glob.glob(f'{glob.escape(current)}*')
    if kind == 'SYSTEM':
        return [one.name for one in service().systems()]
    if kind == 'GROUP':
        return [one.name for one in service().groups()]
    if kind == 'SCHEDULE':
        return [one.name for one in service().schedules()]
    if kind == 'TASK':
        return [
            task.identity
            for task in service().tasks()
            if waiting.state(task) not in waiting.ENDED
        ]
    if kind == 'SNAPSHOT' and owner:
        first = parser._get_positional_actions()[0].metavar
        of_group = first == 'GROUP'
        found = (
            service().group_snapshots(owner).get_members()
            if of_group
            else service().snapshots(owner).get_members()
        )
        return [one.name for one in found]
    return []
