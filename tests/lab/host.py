# SPDX-License-Identifier: Apache-2.0
"""A hypervisor of one's own: libvirtd and virtlogd in a private root.

Each host is a writable layer over a read-only root, with processes that
are recognised by their root folder: whatever runs in it is the host's, and
nothing else is ever touched. From outside only its socket is used, as that
of a machine elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import threading
from typing import IO, Any

import libvirt

from tests.lab import guest, layers, reaper, roots

IMAGES = "/var/lib/libvirt/images"
GUEST = "/var/lib/hawkfish-lab"
SERIAL = "/var/log/hawkfish-lab"
CACHE = "/var/cache/libvirt/qemu/capabilities"
SOCKET = "/run/libvirt/libvirt-sock"
# How long a daemon may take to start, however busy the machine is.
START_SECONDS = 180
# What a path of a socket may be long, less its final zero.
SOCKET_LENGTH = 107

_ACTIVE = libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE

POOL = f"""\
<pool type='dir'>
  <name>default</name>
  <target><path>{IMAGES}</path></target>
</pool>"""


class HostError(Exception):
    """The host cannot do what was asked."""


class Host:
    """One libvirtd, named, in a root of the given release.

    A name belongs to the process that started it until that ends; what a
    killed process left is cleaned when the name is started again. A host
    that was started with *keep* outlives its process, until ``stop``.
    """

    def __init__(self, name: str, release: str | None = None) -> None:
        self.name = name
        self.release = release or roots.default()[0]
        self.folder = roots.lab_dir() / "run" / name
        self.root = self.folder / "root"
        self._lock: IO[str] | None = None
        self._parents: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Host:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @classmethod
    def attach(cls, name: str) -> Host:
        """Return the host of that name that another process started."""
        release = roots.lab_dir() / "run" / name / "release"
        if not release.exists():
            raise HostError(f"there is no host {name}")
        return cls(name, release.read_text())

    @property
    def uri(self) -> str:
        """The address for libvirt clients outside."""
        return f"qemu+unix:///system?socket={self.path(SOCKET)}"

    @property
    def version(self) -> str:
        """The version of the daemon, as in "11.3.0"."""
        with contextlib.closing(self.connect()) as connection:
            number = connection.getLibVersion()
        return f"{number // 10**6}.{number // 1000 % 1000}.{number % 1000}"

    def start(self, *, keep: bool = False) -> None:
        """Make the working copy and start the daemons in it."""
        root = roots.ensure(self.release)
        kernel = guest.ensure(root)
        if len(str(self.path(SOCKET))) > SOCKET_LENGTH:
            raise HostError("HAWKFISH_LAB_DIR is too long for a socket")
        self._claim()
        self._clean()
        try:
            self.folder.mkdir()
            (self.folder / "release").write_text(self.release)
            if keep:
                (self.folder / "keep").touch()
            layers.make(root, self.folder)
            shutil.copytree(kernel, self.path(GUEST))
            self.path(SERIAL).mkdir(parents=True)
            self._start_probed(root)
            self._define_pool()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process of this host, and remove all that it had."""
        self._clean()
        for parent in self._parents:
            parent.wait()
        self._parents.clear()
        if self._lock:
            pathlib.Path(self._lock.name).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def start_daemon(self) -> None:
        """Start virtlogd and libvirtd; returns when they answer."""
        if not self._pid("virtlogd.pid"):
            self._spawn("virtlogd", "-d")
        self._spawn("libvirtd", "-d")

    def kill_daemon(self) -> None:
        """Kill libvirtd as a crash would; its guests go on running."""
        _end(self._pid("libvirtd.pid"), signal.SIGKILL)

    def restart_daemon(self) -> None:
        """Stop libvirtd in good order, and start it again."""
        pid = self._pid("libvirtd.pid")
        try:
            _end(pid, signal.SIGTERM, timeout=5)
        except HostError:
            # A daemon asked to end while it starts can hang.
            _end(pid, signal.SIGKILL)
        self.start_daemon()

    def connect(self) -> Any:
        """Return a new connection; whoever asked closes it."""
        return libvirt.open(self.uri)

    def is_sound(self, seconds: float) -> bool:
        """Say whether libvirtd answers, about each of its guests too.

        A libvirtd that was killed at an unlucky moment may never do so.
        """
        answers = []

        def ask() -> None:
            with contextlib.suppress(libvirt.libvirtError):
                with contextlib.closing(self.connect()) as connection:
                    for domain in connection.listAllDomains(_ACTIVE):
                        # This waits for the job of another.
                        domain.memoryStats()
                answers.append(True)

        # One that hangs goes on until its libvirtd has ended.
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(seconds)
        return bool(answers)

    def kill(self) -> None:
        """Kill every process, for whoever waits for one to go on."""
        for pid in self.processes():
            _end(pid, signal.SIGKILL)

    def path(self, inside: str) -> pathlib.Path:
        """Return where a path of the host is seen from outside."""
        return self.root / inside.lstrip("/")

    def daemon_pid(self) -> int:
        """Return the process of libvirtd, or 0 when it does not run."""
        return self._pid("libvirtd.pid")

    def qemu_pid(self, domain: str) -> int:
        """Return the process of a running domain, as seen from outside."""
        return int(self.path(f"/run/libvirt/qemu/{domain}.pid").read_text())

    def processes(self) -> list[int]:
        """Return the ids of all processes of this host."""
        return [
            int(entry.name)
            for entry in pathlib.Path("/proc").iterdir()
            if entry.name.isdigit() and self._owns(entry)
        ]

    def mount_small(
        self, inside: str, mib: int, kind: str = "tmpfs"
    ) -> pathlib.Path:
        """Mount a file system of *mib* MiB that tests can fill up.

        *kind* is ``tmpfs``, or ``ext4`` where a loop device is available.
        It is gone with the host, or with ``unmount``.
        """
        target = self.path(inside)
        target.mkdir(parents=True, exist_ok=True)
        if kind == "tmpfs":
            layers.mount_tmpfs(target, mib)
        else:
            name = inside.strip("/").replace("/", "-")
            layers.mount_ext4(target, mib, self.folder / f"{name}.img")
        return target

    def unmount(self, inside: str) -> None:
        """Take away what ``mount_small`` mounted."""
        layers.call("umount", self.path(inside))

    def _claim(self) -> None:
        """Take the name, or raise when its host is in use."""
        if self._lock:
            raise HostError(f"host {self.name} is started already")
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = self.folder.with_suffix(".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise HostError(f"host {self.name} is in use") from None
        if not os.fstat(lock.fileno()).st_nlink:
            # Removed by its last holder between our two calls.
            lock.close()
            return self._claim()
        if (self.folder / "keep").exists():
            lock.close()
            raise HostError(f"host {self.name} is up; take it down first")
        self._lock = lock

    def _start_probed(self, root: pathlib.Path) -> None:
        """Start the daemons, and keep what they find out about QEMU.

        libvirt starts every QEMU binary to ask what it can do, and
        remembers that: seconds for the first host of a root only.
        """
        known = roots.lab_dir() / "probed" / root.name
        with roots.locked(known):
            if known.exists():
                shutil.copytree(known, self.path(CACHE), dirs_exist_ok=True)
                return self.start_daemon()
            self.start_daemon()
            with contextlib.closing(self.connect()) as connection:
                connection.getCapabilities()
            unfinished = known.with_name(root.name + ".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(self.path(CACHE), unfinished)
            unfinished.rename(known)

    def _define_pool(self) -> None:
        with contextlib.closing(self.connect()) as connection:
            pool = connection.storagePoolDefineXML(POOL)
            pool.create()
            pool.setAutostart(True)

    def _spawn(self, *command: str) -> None:
        """Run a daemon's starter in the root, without any network.

        The domains have no interfaces, and so a daemon can never meddle
        with the bridges and filters of the machine.
        """
        log = self.folder / "daemons.log"
        isolated = ["unshare", "--net", "chroot", str(self.root), *command]
        with log.open("a") as errors:
            parent = subprocess.Popen(
                [sys.executable, "-I", "-S", reaper.__file__, *isolated],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                # Neither a signal to the tests nor their end reaches it.
                start_new_session=True,
            )
        self._parents.append(parent)
        assert parent.stdout
        with parent.stdout as status:
            if not select.select([status], [], [], START_SECONDS)[0]:
                parent.kill()
                raise HostError(f"{command[0]} hangs as it starts")
            if status.read().strip() != b"0":
                said = log.read_text()[-2000:]
                raise HostError(f"{command[0]} does not start:\n{said}")

    def _pid(self, name: str) -> int:
        """Return the live process of a pid file, or 0."""
        with contextlib.suppress(OSError, ValueError):
            pid = int(self.path(f"/run/{name}").read_text())
            if self._owns(pathlib.Path("/proc", str(pid))):
                return pid
        return 0

    def _owns(self, process: pathlib.Path) -> bool:
        with contextlib.suppress(OSError):
            return os.readlink(process / "root") == str(self.root)
        return False

    def _clean(self) -> None:
        """Leave neither process nor mount nor file of this host."""
        while self.processes():
            self.kill()
        layers.unmount_below(self.folder)
        if self.folder.exists():
            shutil.rmtree(self.folder)


def _end(pid: int, how: signal.Signals, timeout: float = 20) -> None:
    """Signal a process and wait until it has ended."""
    if not pid:
        return
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, how)
        if not select.select([handle], [], [], timeout)[0]:
            raise HostError(f"process {pid} does not end")
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def names() -> list[str]:
    """Return the names of the hosts that are up or were left behind."""
    return sorted(
        path.parent.name
        for path in (roots.lab_dir() / "run").glob("*/release")
    )
