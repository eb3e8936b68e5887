# SPDX-License-Identifier: Apache-2.0
"""
The journals of the operations.

Owns what each operation notes of itself before it goes on, as the state
database keeps it.  A task that an older release has begun is settled with the
journal that it has written: a field that is added needs a default, and one
that is renamed its former name.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.records import Record

# By the target of a disk, or by a kind of state of the firmware.
ByName = Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class HoldNote(Record):
    """
    How the guest may be held up from now on.

    *frozen*: its file systems are; *suspended*: it is, though it ran.
    """

    frozen: bool = False
    suspended: bool = False


@dataclasses.dataclass(frozen=True)
class CaptureNote(HoldNote):
    """*quiesce* are the fields of how it went; see contract.Quiesce."""

    quiesce: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def quiesced(self) -> contract.Quiesce:
        """How it went with the file systems."""
        return contract.Quiesce(**self.quiesce)


@dataclasses.dataclass(frozen=True)
class CreateJournal(CaptureNote):
    """
    What a create notes.

    *files* are all files to come, and *firmware* those of them that copy the
    firmware's state, by kind; *volumes* the paths of the disks that the
    domain names as pool volumes, by target; *power_state* the system's.
    """

    files: Sequence[str] = ()
    volumes: ByName = dataclasses.field(default_factory=dict)
    firmware: ByName = dataclasses.field(default_factory=dict)
    power_state: str = contract.OFF


@dataclasses.dataclass(frozen=True)
class RevertJournal(Record):
    """
    What a revert notes: all that it takes to undo or to end it.

    *snapshot_xml* is the snapshot, *domain_xml* the definition for the next
    start and *live_xml* the one in use; *domain_id* the domain's number while
    it runs; *current* the current snapshot, and *current_xml* what libvirt
    had of it.  *next_xml* is the definition that the next start shall have,
    *created* the new overlays, by target, *gone* the media that are there no
    more, and *loads_memory* whether the memory is brought back; *discarded*
    are the overlays that are not needed any more when all is done.
    *firmware* are copies of the state of the firmware before, by kind;
    *undoing* says that the way back has begun.

    Internal snapshots have no overlays; nor have the reverts that release 1.0
    began, which noted the *media* to insert, the *bases* of the overlays that
    libvirt made, and the *overlays* of earlier reverts.
    """

    snapshot_xml: str
    domain_xml: str
    live_xml: str
    power_state: str
    domain_id: int
    current: str | None
    current_xml: str | None = None
    next_xml: str = ''
    created: ByName = dataclasses.field(default_factory=dict)
    gone: Sequence[str] = ()
    loads_memory: bool = False
    discarded: Sequence[str] = ()
    firmware: ByName = dataclasses.field(default_factory=dict)
    undoing: bool = False
    media: ByName = dataclasses.field(default_factory=dict)
    bases: Sequence[str] = ()
    overlays: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class DeleteJournal(contract.DeleteJournal):
    """
    What a delete notes.

    *files* are those beside the overlays, *overlays* those that nothing may
    need when it is over; *former* is what is merged by then, or was of the
    snapshots that are gone, and nobody needs, wherever it is.  *tops* are by
    target the files that are being merged, and *above* what stands on them,
    where the system does not write to them; *domain_id* is the domain's number
    while it runs, and *losses* how often libvirtd has gone away.
    """

    files: Sequence[str] = ()
    overlays: Sequence[str] = ()
    former: Sequence[str] = ()
    tops: ByName = dataclasses.field(default_factory=dict)
    above: ByName = dataclasses.field(default_factory=dict)
    domain_id: int = -1
    losses: int = 0
