# SPDX-License-Identifier: Apache-2.0
"""The guest seen from outside: its console, its shell, its agent.

Needs neither a network nor the agent: the console is a log file of the
host, and the shell is the guest's second serial port, a socket of QEMU.
Every call opens that socket anew, so it works after a revert as well.

The timeouts are those of an idle machine.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import shlex
import socket
import time
from collections.abc import Iterator
from xml.etree import ElementTree

import libvirt_qemu

from tests.lab.host import SERIAL, Host
from tests.waiting import patience

TICK = re.compile(rb"^tick (\d+)\r?$", re.MULTILINE)


class CommandError(Exception):
    """A command in the guest failed, or the guest did not answer."""


class Guest:
    """The booted guest of the domain *name* on *host*."""

    def __init__(self, host: Host, name: str) -> None:
        self.host = host
        self.name = name

    def console(self) -> str:
        """Return what the console has said since QEMU was started."""
        log = self.host.path(f"{SERIAL}/{self.name}.log")
        return log.read_text(errors="replace")

    def ticks(self) -> int:
        """Return the last tick on the console, or 0 before the first."""
        log = self.host.path(f"{SERIAL}/{self.name}.log")
        with contextlib.suppress(FileNotFoundError):
            found = TICK.findall(log.read_bytes())
            return int(found[-1]) if found else 0
        return 0

    def wait_booted(self, timeout: float = 60) -> None:
        """Wait until the guest counts, or raise with its console."""
        deadline = time.monotonic() + patience(timeout)
        while not self.ticks():
            if time.monotonic() > deadline:
                raise CommandError(f"{self.name} is not up: {self.console()}")
            time.sleep(0.1)

    def wait_ticks(self, more: int = 2, timeout: float = 30) -> int:
        """Wait until the guest has counted on; return its last tick."""
        first = self.ticks()
        deadline = time.monotonic() + patience(timeout)
        while self.ticks() < first + more:
            if time.monotonic() > deadline:
                raise CommandError(f"{self.name} does not count on")
            time.sleep(0.1)
        return self.ticks()

    def wait_agent(self, timeout: float = 30) -> None:
        """Wait until the guest agent answers."""
        deadline = time.monotonic() + patience(timeout)
        while not self.agent_connected():
            if time.monotonic() > deadline:
                raise CommandError(f"{self.name}: the agent is not there")
            time.sleep(0.1)
        self.agent("guest-ping", max(1, int(deadline - time.monotonic())))

    def agent_connected(self) -> bool:
        """Say whether the guest has opened the agent's channel."""
        with contextlib.closing(self.host.connect()) as connection:
            definition = connection.lookupByName(self.name).XMLDesc()
        channel = ElementTree.fromstring(definition).find(".//channel/target")
        return channel is not None and channel.get("state") == "connected"

    def agent(self, command: str, timeout: int = 5) -> object:
        """Return what the guest agent answers to *command*."""
        with contextlib.closing(self.host.connect()) as connection:
            domain = connection.lookupByName(self.name)
            question = json.dumps({"execute": command})
            answer = libvirt_qemu.qemuAgentCommand(
                domain, question, timeout, 0
            )
        return json.loads(answer)["return"]

    def run(self, command: str, timeout: float = 10) -> str:
        """Run a shell command in the guest and return what it wrote.

        Raises CommandError when it fails, and when no answer comes: the
        guest is off or paused, or the command blocks.
        """
        token = secrets.token_hex(4)
        request = base64.b64encode(command.encode()).decode()
        with self.connected(timeout) as port:
            # The empty line ends what an earlier request left half sent.
            port.sendall(f"\n{token} {request}\n".encode())
            status, output = _answer(port, token, timeout, command)
        if status:
            raise CommandError(f"{command!r} returned {status}: {output}")
        return output

    def write_file(self, path: str, text: str) -> None:
        """Write a file in the guest, through to its disk."""
        encoded = base64.b64encode(text.encode()).decode()
        target = shlex.quote(path)
        self.run(f"echo {encoded} | base64 -d >{target} && sync")

    def checksum(self, path: str) -> str:
        """Return the SHA-256 of a file as the guest reads it."""
        return self.run(f"sha256sum <{shlex.quote(path)}", 60).split()[0]

    def frozen(self) -> bool:
        """Say whether the first disk is frozen, without the agent.

        A second freeze is refused; one that works is undone at once.
        """
        probe = "fsfreeze --freeze /mnt 2>&1 && fsfreeze --unfreeze /mnt"
        return "busy" in self.run(f"{probe} || true").lower()

    def stop_agent(self) -> None:
        """Make the agent hang: it is there, and never answers."""
        self.run("kill -STOP $(pidof qemu-ga)")

    def resume_agent(self) -> None:
        """Let a hung agent go on."""
        self.run("kill -CONT $(pidof qemu-ga)")

    def kill_agent(self) -> None:
        """End the agent; its channel is then disconnected."""
        self.run("kill -KILL $(pidof qemu-ga)")

    def start_agent(self) -> None:
        """Start the agent again."""
        self.run("start-agent")

    @contextlib.contextmanager
    def connected(self, timeout: float) -> Iterator[socket.socket]:
        """Return what is connected to the guest's second serial port."""
        folder = os.open(self.host.path(SERIAL), os.O_PATH)
        with socket.socket(socket.AF_UNIX) as port:
            port.settimeout(timeout)
            try:
                # By way of the folder: the full path can be too long.
                port.connect(f"/proc/self/fd/{folder}/{self.name}.shell")
            except OSError as error:
                raise CommandError(f"{self.name}: no shell") from error
            finally:
                os.close(folder)
            yield port


def _answer(
    port: socket.socket, token: str, timeout: float, command: str
) -> tuple[int, str]:
    """Read until the answer of the request *token* is complete."""
    complete = re.compile(rf"= {token} (\d+) (\S*) =".encode())
    deadline = time.monotonic() + patience(timeout)
    received = b""
    while not (found := complete.search(received)):
        left = deadline - time.monotonic()
        if left <= 0:
            raise CommandError(f"{command!r} did not end in {timeout} s")
        port.settimeout(left)
        try:
            part = port.recv(65536)
        except TimeoutError:
            continue
        if not part:
            raise CommandError(f"the guest went away during {command!r}")
        received += part
    output = base64.b64decode(found[2]).decode(errors="replace")
    return int(found[1]), output
