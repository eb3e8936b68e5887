# SPDX-License-Identifier: Apache-2.0
"""Guests that go on from what another one of their kind had in memory.

Under TCG a guest boots for four seconds of a processor, and goes on from a
saved one after half a second. So the second guest of a kind is saved on its
host as soon as it is up, with its disks, and each further one begins there:
with the same memory and the same disks, under its own name and UUID, and
with the time of now.

libvirt restores a guest under no other name or UUID than it was saved with.
They are written where libvirt reads them: in the XML at the head of the
file (virQEMUSaveHeader in libvirt's qemu_saveimage.h), in its padding.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import re
import struct
import subprocess
import time
from typing import Any

import libvirt

from tests.lab import domains
from tests.lab.host import GUEST, Host
from tests.lab.shell import Guest

# Its magic, then: version, length of the data, running, compressed, where in
# the data the cookie begins.
_HEAD = struct.Struct("=16s5I")
_HEAD_LENGTH = 92

_State = tuple[str, tuple[tuple[int, int], ...]]


class Start:
    """The first start of a system, from its definition on.

    Made right after ``domains.define``: from then on it is known whether
    somebody has changed the system, which then boots by itself.
    """

    def __init__(self, host: Host, domain: domains.Domain) -> None:
        self.host, self.domain = host, domain
        kind = repr(dataclasses.replace(domain, name=""))
        digest = hashlib.sha256(kind.encode()).hexdigest()[:8]
        self._folder = f"{GUEST}/booted/{digest}"
        self._defined = self._state()

    def run(self) -> None:
        """Start the system; its guest has booted, and its agent answers."""
        if not self._is_for_all() or self._state() != self._defined:
            return self._boot()
        if not self.host.path(self._folder).exists():
            # One of its kind may be the only one.
            self.host.path(self._folder).mkdir(parents=True)
            return self._boot()
        if not self.host.path(self._image).exists():
            self._boot()
            self._save()
        self._go_on()

    @property
    def _image(self) -> str:
        return f"{self._folder}/memory"

    def _is_for_all(self) -> bool:
        # Variables of a firmware and states of a TPM are files of libvirt's.
        return self.domain.firmware == "bios" and not self.domain.tpm

    def _state(self) -> _State:
        """What a start depends on: the definition, and the disks."""
        with self._looked_up() as found:
            text = found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
            used = found.snapshotNum() + found.hasManagedSaveImage()
        disks = [os.stat(path) for path in self._disks()]
        return f"{text}{used}", tuple(
            (disk.st_ino, disk.st_mtime_ns) for disk in disks
        )

    def _disks(self) -> list[pathlib.Path]:
        count = len(self.domain.disks)
        return [
            self.host.path(domains.disk_path(self.domain, number))
            for number in range(1, count + 1)
        ]

    @contextlib.contextmanager
    def _looked_up(self) -> Any:
        with contextlib.closing(self.host.connect()) as connection:
            yield connection.lookupByName(self.domain.name)

    def _boot(self) -> None:
        with self._looked_up() as found:
            found.create()
        self._wait()

    def _wait(self) -> Guest:
        guest = Guest(self.host, self.domain.name)
        guest.wait_booted()
        if self.domain.agent:
            guest.wait_agent()
        return guest

    def _save(self) -> None:
        unfinished = f"{self._image}.unfinished"
        with self._looked_up() as found:
            found.save(unfinished)
        for number, disk in enumerate(self._disks()):
            _copy(disk, self._kept_disk(number))
        path = self.host.path(unfinished)
        path.rename(self.host.path(self._image))

    def _kept_disk(self, number: int) -> pathlib.Path:
        return self.host.path(f"{self._folder}/{number}")

    def _go_on(self) -> None:
        for number, disk in enumerate(self._disks()):
            _copy(self._kept_disk(number), disk)
        with self._looked_up() as found:
            _rename(self.host.path(self._image), found)
            found.connect().restore(self._image)
        self._wait().run(f"date -s @{time.time():.0f}")


def _copy(disk: pathlib.Path, target: pathlib.Path) -> None:
    subprocess.run(["cp", "--sparse=always", disk, target], check=True)


def _rename(image: pathlib.Path, domain: Any) -> None:
    """Let the saved guest of *image* be the one of *domain*."""
    with image.open("r+b") as file:
        magic, version, length, running, compressed, cookie_at = _HEAD.unpack(
            file.read(_HEAD.size)
        )
        file.seek(_HEAD_LENGTH)
        data = file.read(length)
        text, cookie = data[:cookie_at], data[cookie_at:]
        renamed = _renamed(text.rstrip(b"\0").decode(), domain) + b"\0"
        changed = renamed + cookie.rstrip(b"\0") + b"\0"
        assert cookie_at
        assert len(changed) <= length, "no room for the XML"
        file.seek(0)
        file.write(
            _HEAD.pack(
                magic, version, length, running, compressed, len(renamed)
            )
        )
        file.seek(_HEAD_LENGTH)
        file.write(changed.ljust(length, b"\0"))


def _renamed(text: str, domain: Any) -> bytes:
    """The XML *text* with the name and the UUID of *domain*.

    The names of its files begin with its name; see ``domains``.
    """
    (name,) = re.findall("<name>(.*)</name>", text)
    (uuid,) = re.findall("<uuid>(.*)</uuid>", text)
    text = text.replace(uuid, domain.UUIDString())
    whole = rf"(?<![\w-]){re.escape(name)}(?!\w)"
    return re.sub(whole, domain.name(), text).encode()
