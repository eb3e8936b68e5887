# SPDX-License-Identifier: Apache-2.0
"""
Removing files that an operation left behind.

Owns the only removal of files in this package.  A file goes only when it is
one that an operation has noted, or that has appeared since with the name of a
revert's overlay, and when no domain's definition, snapshots or QEMU know it.
"""

import contextlib
import html
import json
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import libvirt

from hawkfish_plugin import messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    memory_images,
    qmp,
    snapshots,
    storage,
    xml,
)

# The overlay of a disk, or libvirt's over it by a revert; the memory, the
# state of a firmware.
_OURS = re.compile(
    r'hawkfish-[0-9a-f]{12}'
    r'(-\w+\.(qcow2|\d{10})|\.mem|\.(nvram|tpm)\.gz)'
)


def remove(
    connection: Any,
    domain: Any,
    paths: Iterable[str],
    context: contract.TaskContext,
) -> None:
    """Remove those of *paths* that nothing uses; tell what cannot be."""
    paths, unused = [*paths], list[str]()
    with _telling(connection, context, paths):
        unused = _unused(connection, paths)
    for path in unused:
        with _telling(connection, context, [path]):
            storage.remove(connection, path)


@contextlib.contextmanager
def _telling(
    connection: Any, context: contract.TaskContext, paths: Iterable[str]
) -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as exc:
        if not connection.isAlive():
            raise
        for path in paths:
            context.tell(
                messages.CLEANUP_FAILED, path, exc.get_error_message()
            )


def close(
    connection: Any,
    domain: Any,
    paths: Collection[str],
    context: contract.TaskContext,
) -> None:
    """
    Let QEMU close those of *paths* that it has open and does not use.

    Tells what cannot be found out.
    """
    with _telling(connection, context, paths):
        nodes = qmp.listed(domain, 'query-named-block-nodes')
        # What has the file open goes after what reads its format. QEMU
        # refuses where anything stands on it.
        for node in sorted(nodes, key=lambda node: node['drv'] == 'file'):
            if qmp.plain(node['file']) in paths:
                name = {'node-name': node['node-name']}
                qmp.ask(domain, 'blockdev-del', name)


def is_ours(path: str) -> bool:
    """Whether a file has a name that only we give."""
    return bool(_OURS.fullmatch(posixpath.basename(path)))


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
            path
            for path in storage.listing(connection, folder)
            if pattern.fullmatch(posixpath.basename(path))
        ]
    return found


def remove_new_overlays(
    connection: Any,
    domain: Any,
    bases: Collection[str],
    before: Collection[str],
    context: contract.TaskContext,
) -> None:
    """Remove what a failed revert has put over *bases* since *before*."""
    now = revert_overlays(connection, bases)
    remove(connection, domain, set(now) - set(before), context)


def remove_discarded(
    connection: Any,
    domain: Any,
    before: Iterable[str],
    context: contract.TaskContext,
) -> None:
    """
    Remove what a revert or a delete has done with, and libvirt has left.

    That is so where a QEMU died in a merge.  *before* are the files, the
    uppermost first; none that anything stands on is removed.
    """
    ours = {path for path in before if is_ours(path)}
    with _telling(connection, context, ours):
        known = _mentioned(domain, ours)
        for path in before:
            if path not in ours - known:
                continue
            if storage.exists(connection, path) and not storage.is_backing(
                connection, path
            ):
                remove(connection, domain, [path], context)


def sweep(connection: Any, noted: Collection[str]) -> list[str]:
    """
    Remove what is known to be of no use; returns what is unclear.

    That is what is named like a file of ours and that nothing knows, but
    that may be needed: by a definition that somebody has kept elsewhere.
    """
    found = _files_like_ours(connection)
    known = _names_in_use(connection)
    unknown = {p for p in found if posixpath.basename(p) not in known}
    strange = []
    for path in sorted(unknown | set(noted)):
        useless = path in noted or memory_images.is_unfinished(
            connection, path
        )
        if not _unused(connection, [path]) or not storage.exists(
            connection, path
        ):
            continue
        if useless:
            storage.remove(connection, path)
        else:
            strange.append(path)
    return strange


def _files_like_ours(connection: Any) -> set[str]:
    folders = {
        posixpath.dirname(path)
        for domain in connection.listAllDomains()
        for path in xml.chain(xml.parse(domain.XMLDesc(0)))
    }
    return {
        path
        for folder in folders
        for path in storage.listing(connection, folder)
        if is_ours(path)
    }


def _names_in_use(connection: Any) -> set[str]:
    """The names like ours that any domain has."""
    # Looked for after the files: who makes one lets libvirt know it first.
    names: set[str] = set()
    for domain in connection.listAllDomains():
        for text in _texts(domain):
            names |= {match[0] for match in _OURS.finditer(text)}
        for seen in snapshots.read_all(domain):
            names |= {posixpath.basename(path) for path in seen.own}
    return names


def _unused(connection: Any, paths: Iterable[str]) -> list[str]:
    """Those of *paths* that no domain knows."""
    # By their names, and any domain's: disks that differ only in the ending
    # of their names get overlays of the same names from their reverts.
    names = {path: posixpath.basename(path) for path in paths}
    known: set[str] = set()
    for domain in connection.listAllDomains() if names else ():
        known |= _mentioned(domain, set(names.values()))
    return [path for path, name in names.items() if name not in known]


def _mentioned(domain: Any, words: set[str]) -> set[str]:
    """Those of *words* that are in anything said of a domain's files."""
    return {word for text in _texts(domain) for word in words if word in text}


def _texts(domain: Any) -> Iterator[str]:
    """All that libvirt and QEMU have to say of a domain's files."""
    texts = [domain.XMLDesc(0), *snapshots.texts(domain)]
    if domain.isPersistent():
        texts.append(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    # Not parsed, as there may be thousands; but XML has other words for some
    # letters.
    yield from map(html.unescape, texts)
    # A libvirtd that died may know less than its QEMU.
    nodes = qmp.listed(domain, 'query-named-block-nodes')
    yield json.dumps(nodes, ensure_ascii=False)
