# SPDX-License-Identifier: Apache-2.0
"""
What is checked of a clone that runs, and its picture.

Each check is asked again and again until it has passed, has failed or is
late; none of them waits for another one.
"""

import base64
import contextlib
import json
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import libvirt
import libvirt_qemu

from hawkfish_plugin.drivers import verifying
from hawkfish_plugin.drivers.libvirt import agent, errors
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.verifying import (
    FAILED,
    NOT_RUN,
    PASSED,
    Checked,
    VerifyRequest,
)

# How much of a console is searched, and of a line is shown.
_CONSOLE_BYTES, _PART_BYTES, _SHOWN = 256 * 2**10, 64 * 2**10, 200
# How long the agent has for one answer.
_AGENT_SECONDS = 2
_PICTURE_BYTES = 64 * 2**20
_POLL_SECONDS = 0.1
_STATES = {
    libvirt.VIR_DOMAIN_SHUTDOWN: 'it is shutting down',
    libvirt.VIR_DOMAIN_SHUTOFF: 'it has ended',
    libvirt.VIR_DOMAIN_CRASHED: 'it has crashed',
    libvirt.VIR_DOMAIN_PMSUSPENDED: 'its guest has gone to sleep',
}


class Failed(Exception):
    """A check has failed, and says why."""


# Says what was found; None where nothing is known yet. Raises Failed.
Probe = Callable[[float], str | None]


def watch(
    clone: Domain, request: VerifyRequest, meanwhile: Callable[[float], None]
) -> list[Checked]:
    """
    Let *clone*, which is paused, run, and check what *request* asks for.

    *meanwhile* is called with the seconds that it has run, and may raise.
    """
    with _console(clone) as console:
        probes: dict[str, Probe] = {
            verifying.RUNNING: lambda seconds: _runs(clone, request, seconds),
            verifying.AGENT: lambda _: _answers(clone),
            verifying.CONSOLE: lambda _: console.look(request.console or ''),
            verifying.COMMAND: _Command(clone, request.command).ask,
        }
        wanted = {name: probes[name] for name in request.checks}
        begun, found = time.monotonic(), dict[str, Checked]()
        try:
            clone.resume()
        except libvirt.libvirtError as exc:
            clone.host.raise_if_lost(exc)
            why = f'it cannot be resumed: {errors.text(exc)}'
            failed = Checked(verifying.RUNNING, FAILED, 0.0, why)
            return _all(request, {verifying.RUNNING: failed})
        while wanted.keys() - found.keys():
            seconds = time.monotonic() - begun
            meanwhile(seconds)
            for name, probe in wanted.items():
                # Whether it runs is of interest to the end.
                if name in found and name != verifying.RUNNING:
                    continue
                one = _try(name, probe, begun, request)
                if one is not None:
                    found[name] = one
                    if one.result == FAILED:
                        return _all(request, found)
            time.sleep(_POLL_SECONDS)
    return _all(request, found)


def _all(request: VerifyRequest, found: dict[str, Checked]) -> list[Checked]:
    return [found.get(name, Checked(name, NOT_RUN)) for name in request.checks]


def _try(
    name: str, probe: Probe, begun: float, request: VerifyRequest
) -> Checked | None:
    late = time.monotonic() - begun > request.deadline(name)
    result = PASSED
    try:
        said = probe(time.monotonic() - begun)
    except Failed as exc:
        result, said = FAILED, str(exc)
    seconds = round(time.monotonic() - begun, 1)
    if said is not None:
        return Checked(name, result, seconds, said)
    if late and name != verifying.RUNNING:
        limit = request.deadline(name)
        return Checked(name, FAILED, seconds, f'not within {limit} s')
    return None


# It runs -------------------------------------------------------------------


def _runs(clone: Domain, request: VerifyRequest, seconds: float) -> str | None:
    try:
        state, reason = clone.state()
    except libvirt.libvirtError as exc:
        if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        raise Failed('its QEMU has ended') from exc
    if state == libvirt.VIR_DOMAIN_PAUSED:
        if reason == libvirt.VIR_DOMAIN_PAUSED_IOERROR:
            raise Failed('it stopped at an error of one of its disks')
        raise Failed('it was paused')
    if state in _STATES:
        raise Failed(_STATES[state])
    if seconds < request.run_seconds:
        return None
    return f'for {request.run_seconds} s'


# Its agent -----------------------------------------------------------------


def _answers(clone: Domain) -> str | None:
    try:
        _agent(clone, 'guest-ping')
    except agent.AgentError:
        return None
    return 'it answers'


def _agent(clone: Domain, command: str, **arguments: object) -> Any:
    """Raises AgentError."""
    question = {'execute': command, 'arguments': arguments}
    with agent.failures(clone):
        answer = clone.asked(
            lambda: libvirt_qemu.qemuAgentCommand(
                clone.handle, json.dumps(question), _AGENT_SECONDS, 0
            )
        )
    return json.loads(answer)['return']


class _Command:
    """A program of the guest, and its arguments."""

    def __init__(self, clone: Domain, command: Sequence[str]) -> None:
        self._clone, self._command = clone, command
        self._pid: int | None = None

    def ask(self, _seconds: float) -> str | None:
        try:
            if self._pid is None:
                self._begin()
                return None
            return self._end()
        except agent.AgentError as exc:
            # One that has just booted is not there yet.
            if exc.unresponsive:
                return None
            raise Failed(str(exc)) from exc

    def _begin(self) -> None:
        _agent(self._clone, 'guest-ping')
        path, *arguments = self._command
        started = _agent(
            self._clone,
            'guest-exec',
            **{'path': path, 'arg': arguments, 'capture-output': True},
        )
        self._pid = started['pid']

    def _end(self) -> str | None:
        seen = _agent(self._clone, 'guest-exec-status', pid=self._pid)
        if not seen['exited']:
            return None
        said = _last_line(
            b''.join(
                base64.b64decode(seen.get(name, ''))
                for name in ('out-data', 'err-data')
            )
        )
        if seen.get('exitcode') == 0:
            return said or 'it returned 0'
        how = f'returned {seen.get("exitcode")}'
        if 'signal' in seen:
            how = f'was ended by signal {seen["signal"]}'
        raise Failed(f'it {how}: {said}' if said else f'it {how}')


# Its console ---------------------------------------------------------------


class _Console:
    """What the first console says, from when it is opened on."""

    def __init__(self, stream: libvirt.virStream | None) -> None:
        self._stream = stream
        self._text = b''

    def look(self, pattern: str) -> str | None:
        if self._stream is None:
            raise Failed('it has no console')
        self._read(self._stream)
        for line in self._text.splitlines():
            if matches(line.decode(errors='replace'), pattern):
                return _printable(line)
        return None

    def _read(self, stream: libvirt.virStream) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            # -2: there is nothing yet.
            while isinstance(part := stream.recv(_PART_BYTES), bytes) and part:
                self._text = (self._text + part)[-_CONSOLE_BYTES:]


@contextlib.contextmanager
def _console(clone: Domain) -> Iterator[_Console]:
    stream = clone.host.connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
    try:
        # None is the first one.
        clone.handle.openConsole(cast(str, None), stream, 0)
    except libvirt.libvirtError as exc:
        clone.host.raise_if_lost(exc)
        yield _Console(None)
        return
    try:
        yield _Console(stream)
    finally:
        with contextlib.suppress(libvirt.libvirtError):
            stream.abort()


def matches(line: str, pattern: str) -> bool:
    """Whether *line* has *pattern*, where ``*`` is anything."""
    at = 0
    for piece in pattern.split('*'):
        at = line.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def _last_line(text: bytes) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return _printable(lines[-1]) if lines else ''


def _printable(line: bytes) -> str:
    text = line.decode(errors='replace').strip()[:_SHOWN]
    return ''.join(
        c if c.isprintable() else '\N{REPLACEMENT CHARACTER}' for c in text
    )


# Its picture ---------------------------------------------------------------


def screenshot(clone: Domain) -> bytes | None:
    """What is on the first screen, as a PNG file; None without one."""
    stream = clone.host.connection.newStream()
    data = b''
    try:
        clone.handle.screenshot(stream, 0, 0)
        while part := stream.recv(_PART_BYTES):
            data += part
            if len(data) > _PICTURE_BYTES:
                stream.abort()
                return None
        stream.finish()
    except libvirt.libvirtError as exc:
        clone.host.raise_if_lost(exc)
        return None
    return data if data.startswith(b'\x89PNG') else png_of(data)


def png_of(pixmap: bytes) -> bytes | None:
    """*pixmap*, a binary PPM file as QEMU writes it, as a PNG file."""
    head = pixmap.split(maxsplit=4)
    if len(head) < 5 or head[0] != b'P6' or head[3] != b'255':
        return None
    width, height = int(head[1]), int(head[2])
    row = 3 * width
    pixels = pixmap[len(pixmap) - row * height :]
    if len(pixmap) < row * height or not pixels:
        return None
    # Each row begins with its filter: none.
    raw = b''.join(
        b'\0' + pixels[begin : begin + row]
        for begin in range(0, row * height, row)
    )
    size = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        _chunk(kind, data)
        for kind, data in (
            (b'IHDR', size),
            (b'IDAT', zlib.compress(raw)),
            (b'IEND', b''),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return (
        struct.pack('>I', len(data))
        + kind
        + data
        + struct.pack('>I', checksum)
    )
