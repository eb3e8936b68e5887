# SPDX-License-Identifier: Apache-2.0
"""
The shell sessions of the documentation, run as they stand.

Owns how a page is read, one shell that runs its blocks, and the comparison of
what they print with what the page shows: times and ages are alike, a line of
three dots stands for any lines, and a command without output on the page may
print what it likes.
"""

import dataclasses
import itertools
import os
import pathlib
import re
import signal
import subprocess
from collections.abc import Mapping

from tests.served import free_port, is_open
from tests.waiting import wait_for

_BLOCK = re.compile(r'\n\.\. code-block:: console\n\n((?:   .*\n|\n)+)')
_TITLE = re.compile(r'^(?!=)(.+)\n=+$', re.MULTILINE)
_MARK = '-- the end of a command --'
# The documentation's; another process may have it here.
PORT = ':8000'


@dataclasses.dataclass
class Command:
    """
    A command, its lines and the output that follows it on the page.

    *fails* says that it may: the page shows its exit status next.
    """

    line: str
    output: str = ''
    fails: bool = False

    @property
    def in_background(self) -> bool:
        return self.line.endswith(' &')


def read(page: pathlib.Path) -> dict[str, list[Command]]:
    """The commands of *page* by the title of the section they stand in."""
    text = page.read_text()
    titles = [*_TITLE.finditer(text)]
    ends = [title.start() for title in titles[1:]] + [len(text)]
    return {
        title[1]: [
            command
            for block in _BLOCK.findall(text[title.end() : end])
            for command in _commands(block)
        ]
        for title, end in zip(titles, ends, strict=True)
    }


def _commands(block: str) -> list[Command]:
    commands: list[Command] = []
    for line in block.splitlines():
        line = line.removeprefix('   ')
        if line.startswith('$ '):
            commands.append(Command(line[2:]))
        elif commands[-1].line.endswith('\\'):
            commands[-1].line += f'\n{line}'
        else:
            commands[-1].output += f'{line}\n'
    for before, after in itertools.pairwise(commands):
        before.fails = after.line == 'echo $?'
    return commands


class Shell:
    """
    One shell for all commands of a page, in *folder*, which is its home.

    *words* of the page are others here; so is the port of its emulator.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        words: Mapping[str, str],
        **environment: str,
    ) -> None:
        self._port = free_port()
        # The options of the emulator have a blank before it.
        self._words = {
            PORT: f':{self._port}',
            '--port 8000': f'--port {self._port}',
            **words,
        }
        ours = ('HAWKFISH_', 'OS_', 'SUSHY_', 'PYTHONPATH')
        self._process = subprocess.Popen(
            ['bash', '--norc', '--noprofile'],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={
                **{
                    k: v
                    for k, v in os.environ.items()
                    if not k.startswith(ours)
                },
                'HOME': str(folder),
                'TMPDIR': str(folder),
                'no_proxy': '127.0.0.1',
                **environment,
            },
        )

    def __enter__(self) -> 'Shell':
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and what it has started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def run(self, command: Command) -> None:
        """Raise AssertionError where it is not as the page says."""
        self.paste(command)
        if command.in_background:
            self._wait_up()

    def paste(self, command: Command) -> None:
        """As ``run``; what is started in the background is not waited for."""
        status, printed = self._ask(self._here(command.line))
        assert command.fails or not status, f'{command.line}\n{printed}'
        if command.output.strip():
            assert re.fullmatch(_pattern(command.output), _plain(printed)), (
                f'{command.line}\n{printed}'
            )

    def _here(self, text: str) -> str:
        for word, other in self._words.items():
            text = text.replace(word, other)
        return text

    def _ask(self, line: str) -> tuple[int, str]:
        assert self._process.stdin and self._process.stdout
        # The next command may ask for the status of this one.
        self._process.stdin.write(
            f'{line}\n_status=$?; echo; echo "{_MARK} $_status"; '
            '(exit $_status)\n'
        )
        self._process.stdin.flush()
        printed = ''
        for answer in self._process.stdout:
            if answer.startswith(_MARK):
                return int(answer.split()[-1]), printed.removesuffix('\n')
            printed += answer
        raise AssertionError(f'the shell has ended: {line}\n{printed}')

    def _wait_up(self) -> None:
        wait_for(lambda: is_open(self._port), 'an emulator to come up')


def _plain(text: str) -> str:
    """*text* with all times and ages alike, and no blanks at an end."""
    text = re.sub(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', 'TIME', text)
    text = re.sub(r', \d+[smh](?=[,)])', ', AGE', text)
    text = re.sub(r'\(\d+[smh] ago\)', '(AGE)', text)
    text = re.sub(r'\| \d+[smh] +(?=\|)', '| AGE ', text)
    return ''.join(f'{line.rstrip()}\n' for line in text.strip().splitlines())


def _pattern(output: str) -> str:
    """What matches a printed *output*."""
    lines = _plain(output).splitlines(keepends=True)
    return ''.join(
        r'(?:.*\n)*' if line == '...\n' else re.escape(line) for line in lines
    )
