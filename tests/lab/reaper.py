# SPDX-License-Identifier: Apache-2.0
"""Run a daemon's starter, and be the parent of what it leaves behind.

Run as a program. libvirt ends a guest by waiting until its process is
gone; in a container whose first process is slow to collect the dead, or
never does, that takes seconds, or for ever. So this process collects them.

Writes the starter's exit status to its standard output, goes on until the
last of its children has ended, and needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> None:
    """Run *command*, report its status, collect what it started."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("this kernel has no child subreapers")
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
    )
    os.write(1, f"{done.returncode}\n".encode())
    os.close(1)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


if __name__ == "__main__":
    main(sys.argv[1:])
