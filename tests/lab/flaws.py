# SPDX-License-Identifier: Apache-2.0
"""What libvirt does wrong, shown on every release of the lab.

Runs the scripts of ``tools/flaws`` as they would be run on the host itself,
and prints a line for each: a libvirtd that one of them has crashed is started
again for the next.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import subprocess
from collections.abc import Iterator

from tests.lab import roots
from tests.lab.host import Host

SCRIPTS = pathlib.Path(__file__).parents[2] / "tools" / "flaws"
INSIDE = "/var/lib/libvirt/flaws"
SECONDS = 120


def verdicts(release: str, wanted: str) -> Iterator[tuple[str, str]]:
    """Run the scripts whose names have *wanted*: each, and what it says."""
    with Host(f"flaws-{release}", release) as host:
        shutil.copytree(SCRIPTS, host.path(INSIDE))
        for script in sorted(SCRIPTS.glob("*.sh")):
            if wanted in script.name:
                yield script.stem, _run(host, script.name)
            if not host.daemon_pid():
                host.start_daemon()


def _run(host: Host, script: str) -> str:
    inside = ["bash", f"{INSIDE}/{script}", INSIDE]
    done = subprocess.run(
        ["timeout", str(SECONDS), "chroot", str(host.root), *inside],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    if done.returncode:
        said = f"{done.stdout}{done.stderr}".strip()
        return f"FAILED with {done.returncode}: {said}"
    return done.stdout.strip()


def main() -> None:
    """Print what each script says, one release after the other."""
    parser = argparse.ArgumentParser("python -m tests.lab.flaws")
    parser.add_argument("wanted", nargs="?", default="", metavar="NAME")
    arguments = parser.parse_args()
    for release in roots.wanted():
        for name, said in verdicts(release, arguments.wanted):
            print(f"{release}\t{name}\t{said}", flush=True)


if __name__ == "__main__":
    main()
