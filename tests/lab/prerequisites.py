# SPDX-License-Identifier: Apache-2.0
"""What a machine needs before the lab can be built on it.

Everything else, the hypervisors included, is installed into the lab's own
roots. This module only looks; installing is for whoever runs the tests.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys

from tests.lab import apt, roots

# The programs by the package that has them on Debian and Ubuntu.
PROGRAMS = {
    "cpio": "cpio",
    "debootstrap": "debootstrap",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "qemu-img": "qemu-utils",
    "unshare": "util-linux",
}
PATH = "/usr/local/sbin:/usr/sbin:/sbin:" + os.environ.get("PATH", "")


def missing_packages() -> list[str]:
    """Return the Debian packages of the programs that are not here."""
    return sorted(
        package
        for program, package in PROGRAMS.items()
        if not shutil.which(program, path=PATH)
    )


def problems() -> list[str]:
    """Return why the lab cannot be built here: one sentence for each."""
    found = []
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return ["The lab needs Linux on x86-64."]
    if os.geteuid() != 0:
        found.append("The lab mounts and runs daemons: it needs root.")
    elif not _may_mount():
        found.append("This container may not mount: it needs CAP_SYS_ADMIN.")
    found += _absent(missing_packages())
    try:
        for name in roots.default():
            release = roots.releases()[name]
            _, keyring = apt.mirror(release.distribution)
            if not keyring.exists():
                found.append(f"The archive's keyring {keyring} is not here.")
    except (apt.NoMirror, OSError) as error:
        found.append(f"No archive to build from: {error}.")
    return list(dict.fromkeys(found))


def _may_mount() -> bool:
    if not shutil.which("unshare", path=PATH):
        return True
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True)
    return tried.returncode == 0


def _absent(packages: list[str]) -> list[str]:
    if not packages:
        return []
    listed = " ".join(packages)
    if shutil.which("apt-get", path=PATH):
        return [f"Packages are missing: apt-get install {listed}"]
    return [
        "Programs are missing. This system has no apt-get: install what "
        f"Debian packages as: {listed}"
    ]
