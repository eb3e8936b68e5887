# SPDX-License-Identifier: Apache-2.0
"""
Removing files that an operation left behind.

Owns the only removal of files in this package.  A file goes only when it is
one that an operation has noted, or that has appeared since with the name of a
revert's overlay, and when no domain's definition, snapshots or QEMU know it.
What an operation has taken out of use goes when the ledger knows nobody who
names it and nothing that stands on it.
"""

import contextlib
import html
import json
import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import libvirt

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    definitions,
    domains,
    errors,
    filenames,
    ledger,
    qmp,
    snapshots,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.host_files import HostFiles
from hawkfish_plugin.drivers.libvirt.hosts import Host
from hawkfish_plugin.drivers.libvirt.storage import Storage


def remove(
    host: Host, paths: Iterable[str], context: contract.TaskContext
) -> None:
    """Remove those of *paths* that nothing uses; report what cannot be."""
    removal(host, paths, context)()


def removal(
    host: Host, paths: Iterable[str], context: contract.TaskContext
) -> Callable[[], None]:
    """
    Look which of *paths* nothing uses; what is returned removes them.

    So that a caller with several sets looks once, before removing anything.
    """
    paths, unused = [*paths], list[str]()
    with _reporting(host, context, paths, messages.CLEANUP_UNDECIDED):
        unused = _unused(host, paths, [exceptions.NotAnswering])
    overlays = filenames.overlays(unused)
    others = [path for path in unused if path not in overlays]
    guard: _Guard | None = None
    if overlays:
        with _reporting(host, context, overlays, messages.CLEANUP_UNDECIDED):
            files = ledger.of_now(host, overlays)
            files.check_known()
            guard = _Guard(host, files, ())

    def act() -> None:
        _remove(host, others, None, context)
        if guard:
            _remove(host, overlays, guard, context)

    return act


def remove_unused(host: Host, paths: Iterable[str]) -> None:
    """Remove those of *paths* that no domain knows; nobody is told."""
    for path in _unused(host, paths):
        host.storage.remove(path)


class _Guard:
    """What is needed by what *files* names, or of what is *held* besides."""

    def __init__(
        self, host: Host, files: HostFiles, held: Iterable[str]
    ) -> None:
        self._host, self._files = host, files
        self._held = files.named() | files.identities.of_all(held)

    def is_needed(self, path: str) -> bool:
        """Whether the file at *path* is, or something stands on it."""
        # A pool of others may list files that are gone.
        return self._files.identities.of(path) in self._held or any(
            map(self._host.storage.exists, self._files.above(path))
        )


def _remove(
    host: Host,
    paths: Iterable[str],
    guard: _Guard | None,
    context: contract.TaskContext,
) -> None:
    """Remove those of *paths* that *guard* does not need, one by one."""
    for path in paths:
        needed = True
        with _reporting(host, context, [path], messages.CLEANUP_UNDECIDED):
            needed = guard is not None and guard.is_needed(path)
        if not needed:
            with _reporting(host, context, [path], messages.CLEANUP_FAILED):
                host.storage.remove(path)


@contextlib.contextmanager
def _reporting(
    host: Host,
    context: contract.TaskContext,
    paths: Iterable[str],
    message: str,
) -> Iterator[None]:
    """Report of *paths* why libvirt cannot do the block, and go on."""
    try:
        yield
    except libvirt.libvirtError as exc:
        host.raise_if_lost(exc)
        reason = errors.text(exc)
    except (
        exceptions.FolderUnreadable,
        exceptions.NotAnswering,
        exceptions.PoolNotActive,
    ) as exc:
        reason = messages.text(exc)
    else:
        return
    for path in paths:
        context.add_message(message, path, reason.rstrip('.'))


def close(
    domain: Domain, paths: Collection[str], context: contract.TaskContext
) -> None:
    """
    Let QEMU close those of *paths* that it has open and does not use.

    Reports what cannot be found out.
    """
    undecided = messages.CLEANUP_UNDECIDED
    with _reporting(domain.host, context, paths, undecided):
        nodes = qmp.listed(domain, 'query-named-block-nodes')
        # What has the file open goes after what reads its format. QEMU
        # refuses where anything is backed by it.
        for node in sorted(nodes, key=lambda node: node['drv'] == 'file'):
            if qmp.plain(node['file']) in paths:
                name = {'node-name': node['node-name']}
                qmp.ask(domain, 'blockdev-del', name)


def revert_overlays(storage: Storage, bases: Iterable[str]) -> list[str]:
    """The overlays that reverts have put over *bases* so far."""
    return [
        path
        for base in bases
        for path in storage.listing(posixpath.dirname(base))
        if filenames.is_revert_overlay_of(base, path)
    ]


def remove_new_overlays(
    host: Host,
    bases: Collection[str],
    before: Collection[str],
    context: contract.TaskContext,
) -> None:
    """Remove what a failed revert has put over *bases* since *before*."""
    now = revert_overlays(host.storage, bases)
    remove(host, set(now) - set(before), context)


def discard(
    domain: Domain, paths: Iterable[str], context: contract.TaskContext
) -> None:
    """
    Remove those of *paths*, the uppermost first, that hold no needed state.

    That a snapshot lists one as what came after it is no need of it.
    """
    with domain.host.moments.within():
        act = discarding(domain, paths, context)
    act()


def discarding(
    domain: Domain, paths: Iterable[str], context: contract.TaskContext
) -> Callable[[], None]:
    """The same, as ``removal``."""
    host, paths = domain.host, [*paths]
    guard: _Guard | None = None
    if paths:
        with _reporting(host, context, paths, messages.CLEANUP_UNDECIDED):
            files = ledger.of_now(host, paths)
            files.check_known(domain.uuid)
            guard = _Guard(host, files, _held(host))

    def act() -> None:
        if guard:
            _remove(host, paths, guard, context)

    return act


def _held(host: Host) -> set[str]:
    """Every file that a snapshot has captured, or that is its own."""
    found: set[str] = set()
    for domain in domains.all_of(host):
        with definitions.vanished():
            for seen in snapshots.read_all(domain):
                found |= host.storage.files_of(seen.captured)
                found |= set(seen.own_files)
    return found


def sweep(
    host: Host, noted: Collection[str], folders: Collection[str] = ()
) -> list[str]:
    """
    Remove those of *noted* that nothing uses; returns what is unclear.

    *noted* is what an operation of this service has decided to remove; what
    may have got its name from somebody else since is not that file any more.
    What else is named like a file of ours and that nothing knows may be
    needed: by a definition that somebody has kept elsewhere, or by another
    service on another host that sees the same folder.  Looked through are the
    folders of all disks, and *folders*.
    """
    found = _files_like_ours(host, folders)
    known = _names_in_use(host)
    unknown = {p for p in found if posixpath.basename(p) not in known}
    ours = {
        path
        for path in noted
        if filenames.is_ours(path) or filenames.is_of_backup(path)
    }
    unused = [
        path
        for path in sorted(unknown | ours)
        if _unused(host, [path]) and host.storage.exists(path)
    ]
    useless = [path for path in unused if path in ours]
    if useless:
        files = ledger.of_now(host, useless)
        files.check_known()
        guard = _Guard(host, files, ())
        for path in useless:
            if not guard.is_needed(path):
                host.storage.remove(path)
    return [path for path in unused if path not in ours]


def _files_like_ours(host: Host, also: Iterable[str]) -> set[str]:
    folders = {
        posixpath.dirname(path)
        for definition in definitions.read(host).files({}).values()
        for path in definition.files
    }
    return {
        path
        for folder in folders.union(also)
        for path in host.storage.listing(folder)
        if filenames.is_ours(path)
    }


def _names_in_use(host: Host) -> set[str]:
    """The names like ours that any domain has."""
    # Looked for after the files: who makes one lets libvirt know it first.
    names: set[str] = set()
    for domain in domains.all_of(host):
        with definitions.vanished():
            for text in _texts(domain):
                names.update(filenames.ours_in(text))
            for seen in snapshots.read_all(domain):
                names |= {posixpath.basename(path) for path in seen.own_files}
    return names


def _unused(
    host: Host,
    paths: Iterable[str],
    hanging: Sequence[type[exceptions.NotAnswering]] = (),
) -> list[str]:
    """Those of *paths* that no domain knows, but for errors of *hanging*."""
    # By their names, and any domain's: disks that differ only in the ending
    # of their names get overlays of the same names from their reverts.
    names = {path: posixpath.basename(path) for path in paths}
    known, words = set[str](), set(names.values())
    folders = {posixpath.dirname(path) for path in names}
    for domain in domains.all_of(host) if names else ():
        # One that has gone since, as what merges files does, uses none.
        with definitions.vanished():
            texts = list(_texts(domain))
            # A QEMU that has nothing there need not be asked. One that hangs
            # is of another system: it would be an operation of its own that
            # had let it open what libvirt does not know.
            if any(folder in text for text in texts for folder in folders):
                with contextlib.suppress(*hanging):
                    texts.append(_open_files(domain))
            known |= _among(words, texts)
    return [path for path, name in names.items() if name not in known]


def _among(words: Iterable[str], texts: Iterable[str]) -> set[str]:
    texts = list(texts)
    return {word for word in words if any(word in text for text in texts)}


def _texts(domain: Domain) -> Iterator[str]:
    """All that libvirt has to say of a domain's files."""
    texts = snapshots.texts(domain)
    try:
        texts.append(domain.text())
        if domain.is_persistent:
            texts.append(domain.text(inactive=True))
    except exceptions.NotAnswering:
        texts += domain.noted_files()
    # Not parsed, as there may be thousands; but XML has other words for some
    # letters.
    yield from map(html.unescape, texts)


def _open_files(domain: Domain) -> str:
    """What QEMU has to say: a libvirtd that died may know less."""
    nodes = qmp.listed(domain, 'query-named-block-nodes')
    return json.dumps(nodes, ensure_ascii=False)
