# SPDX-License-Identifier: Apache-2.0
"""The mounts of a host: its writable layer, and what a kernel provides.

All of them are below the host's own folder, which is how they are found
again after the process that made them was killed.
"""

from __future__ import annotations

import pathlib
import subprocess


class MountError(Exception):
    """A mount, or a copy in its place, did not work."""


def make(lower: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Return a writable view of *lower*: the folder *root* in *folder*."""
    root = folder / "root"
    for name in ("root", "upper", "work"):
        (folder / name).mkdir(parents=True)
    options = (
        f"lowerdir={lower},upperdir={folder}/upper,"
        # Nothing here has to survive the machine: syncs are left out.
        f"workdir={folder}/work,volatile"
    )
    try:
        call("mount", "-t", "overlay", "-o", options, "lab", root)
    except MountError:
        # Such as where the lab's folder is on an overlay itself.
        root.rmdir()
        call("cp", "-a", "--reflink=auto", lower, root)
    root.chmod(0o755)
    call("mount", "-t", "proc", "proc", root / "proc")
    call("mount", "-t", "sysfs", "-o", "ro", "sysfs", root / "sys")
    pts = "newinstance,ptmxmode=0666,mode=620,gid=5"
    call("mount", "-t", "devpts", "-o", pts, "pts", root / "dev/pts")
    call("mount", "-t", "tmpfs", "shm", root / "dev/shm")
    return root


def mount_tmpfs(target: pathlib.Path, mib: int) -> None:
    """Mount a file system of *mib* MiB in memory."""
    size = f"size={mib}m,mode=755"
    call("mount", "-t", "tmpfs", "-o", size, "hawkfish-lab", target)


def mount_ext4(target: pathlib.Path, mib: int, image: pathlib.Path) -> None:
    """Mount a file system of *mib* MiB from *image*, which is made."""
    with image.open("wb") as file:
        file.truncate(mib * 2**20)
    call("mkfs.ext4", "-q", "-m", "0", image)
    call("mount", "-o", "loop", image, target)
    # Not a file of the daemon: it would be taken for a volume.
    (target / "lost+found").rmdir()


def unmount_below(folder: pathlib.Path) -> None:
    """Take away every mount below *folder*, the latest first."""
    lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    # Blanks are written as octal numbers there.
    points = [
        line.split()[1].encode().decode("unicode_escape") for line in lines
    ]
    for point in reversed(points):
        if point.startswith(f"{folder}/"):
            call("umount", point)


def call(*command: str | pathlib.Path) -> None:
    """Run a program, and raise with what it said when it fails."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True
    )
    if done.returncode:
        raise MountError(f"{command[0]}: {done.stderr.strip()}")
