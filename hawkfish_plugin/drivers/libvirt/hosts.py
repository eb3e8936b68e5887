# SPDX-License-Identifier: Apache-2.0
"""
A host: what its libvirt is and can do, and the storage that it has.

Owns what all connections to one host share: the looks at its storage, what
does not answer, the snapshots that were parsed, and what a version of libvirt
is able to do.
"""

import dataclasses
import functools
import urllib.parse
from collections.abc import Callable
from typing import TypeVar

import libvirt

from hawkfish_plugin.drivers.libvirt import errors
from hawkfish_plugin.drivers.libvirt.deadlines import Deadlines
from hawkfish_plugin.drivers.libvirt.far_images import FarImages
from hawkfish_plugin.drivers.libvirt.moments import Moments
from hawkfish_plugin.drivers.libvirt.parsed import ParsedSnapshots
from hawkfish_plugin.drivers.libvirt.storage import Looks, Storage

T = TypeVar('T')

# libvirt waits so long for its turn at the QEMU of a domain, but without end
# for the answer.
_JOB_SECONDS = 30.0
_QUERY_SECONDS = 35.0


def _queries() -> Deadlines:
    return Deadlines(_QUERY_SECONDS, _QUERY_SECONDS)


# A guest may have much memory to load.  What takes longer is settled when it
# has ended.
_CHANGE_SECONDS = 600.0


def _changes() -> Deadlines:
    return Deadlines(_CHANGE_SECONDS, _CHANGE_SECONDS)


def _allow() -> None:
    """What is asked before the changes of nobody's task."""


# As libvirt counts its versions.  No functional test has seen an older one:
_EXTERNAL_SINCE = 9_000_000
_JSON_BUG_SINCE, _JSON_BUG_UNTIL = 10_008_000, 12_000_000
_PRIVATE_SINCE = 11_010_000
# 9.0 does and 11.3 does not; the versions in between were not available.
_REWRITES_UNTIL = 11_000_000
_CHAIN_WITH_JSON_BUG, _CHAIN = 20, 150


@dataclasses.dataclass(frozen=True)
class Shared:
    """
    What is kept between connections.

    *queries* are those of domains whose QEMU has to answer, and *changes* what
    is done to domains.
    """

    looks: Looks = dataclasses.field(default_factory=Looks)
    queries: Deadlines = dataclasses.field(default_factory=_queries)
    changes: Deadlines = dataclasses.field(default_factory=_changes)
    parsed: ParsedSnapshots = dataclasses.field(
        default_factory=ParsedSnapshots
    )
    moments: Moments = dataclasses.field(default_factory=Moments)
    far_images: FarImages = dataclasses.field(default_factory=FarImages)

    def is_used(self, connection: libvirt.virConnect) -> bool:
        """Whether a call that does not return has *connection*."""
        return any(
            deadlines.is_used(connection)
            for deadlines in (self.looks.deadlines, self.queries, self.changes)
        )


def version_of(connection: libvirt.virConnect) -> str:
    """The version of libvirt, as ``11.3.0``."""
    number = connection.getLibVersion()
    return f'{number // 10**6}.{number // 1000 % 1000}.{number % 1000}'


class Host:
    """
    The host of a hypervisor, as seen through one connection.

    *check_active* raises where the task that it is for has ended; see
    ``contract.TaskContext``.
    """

    def __init__(
        self,
        connection: libvirt.virConnect,
        shared: Shared,
        check_active: Callable[[], None] = _allow,
    ) -> None:
        self.connection = connection
        self._check_active = check_active
        self.parsed = shared.parsed
        self.moments = shared.moments
        self.far_images = shared.far_images
        self.storage = Storage(
            connection,
            shared.looks,
            self.check_active,
            self.moments,
        )
        self._queries = shared.queries
        self._changes = shared.changes

    def check_active(self) -> None:
        """Before each change: raise where the task has ended."""
        self._check_active()
        self.moments.changing()

    def ask(self, thing: str, call: Callable[[], T]) -> T:
        """
        What *call* says of *thing*, a domain whose QEMU may hang.

        Raises NotAnswering, also where a job does not let libvirt ask.
        """
        try:
            return self._queries.ask(self.connection, thing, call)
        except libvirt.libvirtError as exc:
            if exc.get_error_code() != libvirt.VIR_ERR_OPERATION_TIMEOUT:
                raise
            raise self._queries.put_off(thing, _JOB_SECONDS) from exc

    def change(
        self,
        thing: str,
        call: Callable[[], T],
        more: float = 0.0,
        always: bool = False,
    ) -> T:
        """
        What *call* returns, which changes *thing*, a domain.

        Raises Abandoned, and NotAnswering where it has not returned in time:
        it may take place all the same, and nothing else is done until then.
        *more* is how many seconds longer than others it may take.  *always*:
        it is done though the task has ended, as that has made it necessary.
        """
        if not always:
            self.check_active()

        def change() -> T:
            try:
                return call()
            finally:
                # It may come to an end when nobody waits for it any more.
                self.moments.changing()

        try:
            return self._changes.ask(self.connection, thing, change, more)
        finally:
            self.moments.changing()

    @property
    def is_alive(self) -> bool:
        """Whether the connection is."""
        return errors.is_alive(self.connection)

    def raise_if_lost(self, error: libvirt.libvirtError) -> None:
        """Raise *error* again where it came of a connection that is lost."""
        errors.raise_if_lost(self.connection, error)

    @functools.cached_property
    def _uri(self) -> urllib.parse.SplitResult:
        return urllib.parse.urlsplit(self.connection.getURI())

    @property
    def may_be_here(self) -> bool:
        """Whether nothing says that it is another machine."""
        return not self._uri.hostname

    @property
    def is_here(self) -> bool:
        """Whether it is this machine for sure."""
        # A socket that is named may be forwarded to another machine.  A
        # container with the host's socket in its usual place has the host's
        # device numbers too.
        options = urllib.parse.parse_qs(
            self._uri.query, keep_blank_values=True
        )
        return self.may_be_here and 'socket' not in options

    @functools.cached_property
    def version_number(self) -> int:
        """As libvirt counts: 11_003_000 is 11.3.0."""
        return self.connection.getLibVersion()

    @property
    def version(self) -> str:
        return version_of(self.connection)

    @property
    def supports_external(self) -> bool:
        """Whether the driver can revert to and delete external snapshots."""
        # Not what libvirt says of itself: both are done without it.
        return self.version_number >= _EXTERNAL_SINCE

    @property
    def longest_chain(self) -> int:
        """How many backing files a disk may have and its domain be started."""
        # json-c in some versions cannot parse QEMU's answers about longer
        # chains; a domain with more does not start, and a daemon restart
        # kills it.
        has_bug = _JSON_BUG_SINCE <= self.version_number < _JSON_BUG_UNTIL
        return _CHAIN_WITH_JSON_BUG if has_bug else _CHAIN

    @property
    def rewrites_children(self) -> bool:
        """
        Whether it takes every external snapshot that it forgets for merged.

        It then lets the later ones have captured the files below those that
        they have.
        """
        return self.version_number < _REWRITES_UNTIL

    @property
    def makes_private_overlays(self) -> bool:
        """Whether those of a domain that is off are its owner's only."""
        # CVE-2025-13193.
        return self.version_number >= _PRIVATE_SINCE
