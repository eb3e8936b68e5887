# SPDX-License-Identifier: Apache-2.0
"""The operating systems that the lab's hypervisors run in.

``ensure`` builds one root per release with debootstrap, once, and leaves
everything of a build in the lab's own folder. A root is material: nothing
runs in it and nothing writes to it after its build (see ``host``).
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess
from collections.abc import Iterator

from tests.lab import apt

KERNELS = "usr/lib/hawkfish-lab/kernels"
SCRIPTS = pathlib.Path("/usr/share/debootstrap/scripts")

HYPERVISOR = (
    "libvirt-daemon-system",
    "libvirt-daemon-driver-qemu",
    "qemu-system-x86",
    "qemu-utils",
    "ovmf",
    "swtpm",
    "swtpm-tools",
)
GUEST = ("busybox-static", "qemu-guest-agent", "kmod", "zstd")

CONFIGURATION = {
    # No service may start while packages are installed.
    "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
    "etc/dpkg/dpkg.cfg.d/hawkfish-lab": """\
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
""",
}

# Written after the packages, over the files that they bring.
SETTINGS = {
    "etc/libvirt/libvirtd.conf": """\
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "0777"
""",
    # A private mount namespace needs a root that is a mount point, and
    # cgroups and security labels belong to the machine outside.
    "etc/libvirt/qemu.conf": """\
namespaces = []
cgroup_controllers = []
security_driver = "none"
""",
}

INSTALL = """\
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
get='apt-get -qq -y --no-install-recommends'
get="$get -o Dpkg::Use-Pty=0 -o Acquire::Languages=none"
# The mirror can be a snapshot of a day that is past.
get="$get -o Acquire::Check-Valid-Until=false"
$get update
$get $TARGET install $HYPERVISOR
$get install $GUEST
# The kernels are only unpacked: nothing ever boots from this root.
for kernel in $KERNELS; do
    target="/$KERNEL_FOLDER/${kernel%%=*}"
    mkdir -p "$target"
    apt-get clean
    $get install --download-only "${kernel#*=}"
    for package in /var/cache/apt/archives/linux-*.deb; do
        dpkg -x "$package" "$target"
    done
    if [ ! -e "$target/lib" ]; then ln -s usr/lib "$target/lib"; fi
    for tree in "$target"/lib/modules/*; do
        cd "$tree/kernel"
        rm -rf sound drivers/gpu drivers/infiniband drivers/media drivers/net
        depmod -b "$target" "${tree##*/}"
    done
done
apt-get clean
rm -rf /var/lib/apt/lists/* /etc/apt/sources.list
"""


class BuildError(Exception):
    """A root cannot be built."""


@dataclasses.dataclass(frozen=True)
class Release:
    """What to install for one hypervisor.

    The first kernel boots twice as fast; the second knows SATA as well.
    """

    name: str
    suite: str
    distribution: str = "debian"
    components: str = "main"
    newer: str = ""
    kernels: tuple[str, ...] = (
        "quick=linux-image-cloud-amd64",
        "full=linux-image-amd64",
    )


def releases() -> dict[str, Release]:
    """Return the releases that can be named on this machine."""
    known = [
        Release("debian12", "bookworm"),
        Release("debian12-backports", "bookworm", newer="bookworm-backports"),
        Release("debian-next", "forky"),
    ]
    host, codename = apt.distribution()
    if host == "ubuntu":
        known.append(
            Release(
                codename,
                codename,
                distribution="ubuntu",
                components="main universe",
                kernels=(
                    "quick=linux-image-virtual",
                    "full=linux-image-virtual",
                ),
            )
        )
    return {release.name: release for release in known}


def default() -> list[str]:
    """Return the releases that the tests run on when none is named."""
    host, codename = apt.distribution()
    if host == "ubuntu":
        return [codename]
    return ["debian12-backports", "debian12"]


def wanted() -> list[str]:
    """Return the releases that the environment names, or the default ones."""
    named = os.environ.get("HAWKFISH_LAB_RELEASES", "")
    return named.split() or default()


def lab_dir() -> pathlib.Path:
    """Return the folder that holds everything the lab ever writes."""
    folder = os.environ.get("HAWKFISH_LAB_DIR", "/var/cache/hawkfish-lab")
    return pathlib.Path(folder)


def ensure(name: str) -> pathlib.Path:
    """Return the root of the release *name*, built now if need be."""
    release = releases().get(name)
    if not release:
        raise BuildError(f"{name} is none of {', '.join(releases())}")
    root = lab_dir() / "roots" / f"{name}-{_fingerprint(release)}"
    with locked(root):
        if not root.exists():
            unfinished = root.with_name(root.name + ".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            _build(release, unfinished)
            unfinished.rename(root)
    return root


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
    """Hold the only right to build *path*; its folder is made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def inside(root: pathlib.Path, script: str, **env: str) -> None:
    """Run a shell script in *root*, with /proc and /sys of its own.

    The mounts and the processes live in namespaces that end with the
    script, so a build that is killed leaves neither behind.
    """
    quoted = shlex.quote(str(root))
    _contained(
        f"mount -t proc proc {quoted}/proc\n"
        f"mount -t sysfs -o ro sysfs {quoted}/sys\n"
        f"exec chroot {quoted} /bin/sh -c {shlex.quote(script)}",
        **env,
    )


def _contained(script: str, **env: str) -> None:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-ec",
            script,
        ],
        env={**os.environ, "PATH": path, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise BuildError(f"the build failed:\n{done.stdout[-4000:]}")


def _fingerprint(release: Release) -> str:
    recipe = (release, HYPERVISOR, GUEST, CONFIGURATION, SETTINGS, INSTALL)
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:8]


def _build(release: Release, root: pathlib.Path) -> None:
    mirror, keyring = apt.mirror(release.distribution)
    _write(root, CONFIGURATION)
    _debootstrap(release, root, mirror, keyring)
    suites = filter(None, [release.suite, release.newer])
    lines = [
        f"deb {mirror} {suite} {release.components}\n" for suite in suites
    ]
    _write(root, {"etc/apt/sources.list": "".join(lines)})
    inside(
        root,
        INSTALL,
        TARGET=f"-t {release.newer}" if release.newer else "",
        HYPERVISOR=" ".join(HYPERVISOR),
        GUEST=" ".join(GUEST),
        KERNELS=" ".join(release.kernels),
        KERNEL_FOLDER=KERNELS,
    )
    _write(root, SETTINGS)
    root.chmod(0o755)


def _debootstrap(
    release: Release, root: pathlib.Path, mirror: str, keyring: pathlib.Path
) -> None:
    components = release.components.replace(" ", ",")
    command = ["debootstrap", "--variant=minbase", f"--keyring={keyring}"]
    command += [f"--components={components}"]
    command += [release.suite, str(root), mirror]
    if not (SCRIPTS / release.suite).exists():
        # A suite newer than this debootstrap is built like the newest.
        newest = {"debian": "sid", "ubuntu": "gutsy"}
        command.append(str(SCRIPTS / newest[release.distribution]))
    _contained("exec " + shlex.join(command))


def _write(root: pathlib.Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
