# SPDX-License-Identifier: Apache-2.0
"""
Files of the hypervisor's host that this process can open by their paths.

Owns what has to be so before one is: that the hypervisor may be on this
machine, and that what is at the path here is the very file of libvirt's.  All
else of the driver reaches files through libvirt alone.
"""

import contextlib
import os
import posixpath
import stat
from collections.abc import Callable, Iterator

from hawkfish_plugin.drivers.libvirt import identities, xml
from hawkfish_plugin.drivers.libvirt.hosts import Host


@contextlib.contextmanager
def opened(
    host: Host, path: str, describe: Callable[[], xml.Element | None]
) -> Iterator[int | None]:
    """
    The file at *path*, to be read; None where it cannot be opened.

    *describe* gives the XML of its volume, as libvirt finds the file now.
    """
    file = None
    if host.may_be_here:
        # Whatever it is, it must not keep us.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            file = os.open(path, flags)
    try:
        is_it = file is not None and _is_of(describe(), os.fstat(file))
        yield file if is_it else None
    finally:
        if file is not None:
            os.close(file)


def _is_of(volume: xml.Element | None, found: os.stat_result) -> bool:
    """Whether what was *found* is *volume*, and in no mirror of its folder."""
    stamp = None if volume is None else identities.stamp(volume)
    return (
        stamp is not None
        and stat.S_ISREG(found.st_mode)
        and stamp.is_of(found)
    )


def sync(file: int, path: str) -> None:
    """Write what the kernel has of *file*, at *path*, in a new folder."""
    os.fsync(file)
    folder = posixpath.dirname(path)
    for each in (folder, posixpath.dirname(folder)):
        opened = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
