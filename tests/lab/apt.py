# SPDX-License-Identifier: Apache-2.0
"""Where this machine gets its packages from.

Reads the machine's own apt sources and ``os-release``, so that no mirror
has to be written down anywhere in the project. Changes nothing.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import platform
from collections.abc import Iterator

APT = pathlib.Path("/etc/apt")
KEYRINGS = pathlib.Path("/usr/share/keyrings")
ROLLING = {"stable", "testing", "unstable", "sid"}


class NoMirror(Exception):
    """The machine's apt sources name no archive that could be used."""


@dataclasses.dataclass(frozen=True)
class Source:
    """One archive of the apt sources."""

    uri: str
    suites: frozenset[str]
    components: frozenset[str]
    keyring: str | None = None


def distribution() -> tuple[str, str]:
    """Return the host's distribution and its codename, in lower case."""
    release = platform.freedesktop_os_release()
    return release.get("ID", ""), release.get("VERSION_CODENAME", "")


def mirror(wanted: str) -> tuple[str, pathlib.Path]:
    """Return the address and the keyring of an archive of *wanted*.

    *wanted* is a distribution's id as in ``os-release``. On a host of
    another distribution only the environment can name the archive.
    """
    keyring = KEYRINGS / f"{wanted}-archive-keyring.gpg"
    named = os.environ.get(f"HAWKFISH_LAB_{wanted.upper()}_MIRROR")
    if named:
        return named, keyring
    host, codename = distribution()
    if host == wanted:
        for source in sources():
            if source.suites & {codename, *ROLLING} and (
                "main" in source.components
            ):
                return source.uri, pathlib.Path(source.keyring or keyring)
    raise NoMirror(
        f"the apt sources of this machine ({host or 'unknown'}) name no "
        f"{wanted} archive; set HAWKFISH_LAB_{wanted.upper()}_MIRROR"
    )


def sources() -> Iterator[Source]:
    """Yield every enabled binary archive, in both formats of apt."""
    for path in sorted((APT / "sources.list.d").glob("*.sources")):
        for stanza in path.read_text().split("\n\n"):
            yield from _stanza(stanza)
    lists = [APT / "sources.list"]
    lists += sorted((APT / "sources.list.d").glob("*.list"))
    for path in filter(pathlib.Path.exists, lists):
        for line in path.read_text().splitlines():
            yield from _line(line)


def _stanza(text: str) -> Iterator[Source]:
    fields: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            fields[key] = fields.get(key, "") + line
        elif ":" in line:
            key, _, value = line.partition(":")
            key = key.lower()
            fields[key] = value.strip()
    if "deb" not in fields.get("types", "").split():
        return
    if fields.get("enabled", "yes").lower() == "no":
        return
    signed = fields.get("signed-by", "")
    for uri in fields.get("uris", "").split():
        yield Source(
            _plain(uri),
            frozenset(fields.get("suites", "").split()),
            frozenset(fields.get("components", "").split()),
            # The field may also hold the key itself.
            signed if signed.startswith("/") else None,
        )


def _line(text: str) -> Iterator[Source]:
    options, keyring = "", None
    words = text.split("#")[0]
    if "[" in words:
        head, _, rest = words.partition("[")
        options, _, tail = rest.partition("]")
        words = head + tail
    for option in options.split():
        if option.startswith("signed-by=/"):
            keyring = option.partition("=")[2]
    kind, *archive = words.split() or [""]
    if kind == "deb" and len(archive) > 2:
        uri, suite, *components = archive
        yield Source(
            _plain(uri), frozenset([suite]), frozenset(components), keyring
        )


def _plain(uri: str) -> str:
    """Return the first mirror of a list, as CI images of Ubuntu use one."""
    if uri.startswith("mirror+file:"):
        listed = pathlib.Path(uri.partition(":")[2]).read_text().split()
        uri = next((word for word in listed if "://" in word), uri)
    return uri.rstrip("/")
