# SPDX-License-Identifier: Apache-2.0
"""
Removing files that an operation left behind.

Owns the only removal of files in this package.  A file goes only when it is
one that an operation has noted, or that has appeared since with the name of a
revert's overlay, and when no domain's definition, snapshots or QEMU know it.
"""

import json
import posixpath
import re
from collections.abc import Collection, Iterable
from typing import Any

import libvirt
import libvirt_qemu

from hawkfish_plugin import drivers
from hawkfish_plugin.drivers.libvirt import snapshots, storage


def remove(
    connection: Any, domain: Any, paths: Iterable[str], job: drivers.Job
) -> None:
    """Remove those of *paths* that nothing uses; tell what cannot be."""
    for path in paths:
        try:
            if not _is_in_use(connection, path):
                storage.remove(connection, path)
        except libvirt.libvirtError as exc:
            if not connection.isAlive():
                raise
            job.tell(
                'HawkFish.1.0.CleanupFailed', path, exc.get_error_message()
            )


def revert_overlays(connection: Any, bases: Iterable[str]) -> list[str]:
    """
    The overlays that reverts have put over *bases* so far.

    libvirt puts them beside the base, with the second of the clock in the
    place of the ending of its name.
    """
    found = []
    for base in bases:
        folder, name = posixpath.split(base)
        stem = posixpath.splitext(name)[0]
        pattern = re.compile(rf'{re.escape(stem)}\.\d{{10}}')
        found += [
            path for path in storage.listing(connection, folder)
            if pattern.fullmatch(posixpath.basename(path))
        ]  # fmt: skip
    return found


def remove_new_overlays(
    connection: Any, domain: Any, bases: Collection[str],
    before: Collection[str], job: drivers.Job,
) -> None:
    """Remove what a failed revert has put over *bases* since *before*."""
    now = revert_overlays(connection, bases)
    remove(connection, domain, set(now) - set(before), job)


def _is_in_use(connection: Any, path: str) -> bool:
    # Any domain's: disks that differ only in the ending of their names get
    # overlays of the same names from their reverts.
    return any(
        _knows(domain, posixpath.basename(path))
        for domain in connection.listAllDomains()
    )


def _knows(domain: Any, name: str) -> bool:
    # File names of ours need no escaping in XML or JSON; folders might.
    texts = [domain.XMLDesc(0), *snapshots.texts(domain)]
    if domain.isPersistent():
        texts.append(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    if domain.isActive():
        # A libvirtd that died may know less than its QEMU.
        question = json.dumps({'execute': 'query-named-block-nodes'})
        texts.append(libvirt_qemu.qemuMonitorCommand(domain, question, 0))
    return any(name in text for text in texts)
