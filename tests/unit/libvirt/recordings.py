# SPDX-License-Identifier: Apache-2.0
"""What ``record`` has written down, as tests read it."""

import functools
import json
import pathlib
from typing import Any
from xml.etree import ElementTree

from hawkfish_plugin.drivers.libvirt import backing, parsed, snapshots, xml
from hawkfish_plugin.records import Record

RECORDED = pathlib.Path(__file__).parent / 'recorded'
CASES = ('branches', 'reverted', 'deleted', 'uefi-off', 'internal')
FORMER_RELEASES = sorted(RECORDED.glob('journals-*'))


class Case:
    """A system as it was on a real host; *inventory* is the driver's."""

    def __init__(self, name: str) -> None:
        self.folder = RECORDED / name
        self.live = (self.folder / 'domain.xml').read_text()
        text = (self.folder / 'inventory.json').read_text()
        self.inventory: dict[str, Any] = json.loads(text)

    @property
    def domain(self) -> ElementTree.Element:
        return xml.parse(self.live)

    @property
    def uuid(self) -> str:
        return self.domain.findtext('uuid', '')

    def root(self, snapshot: str) -> ElementTree.Element:
        """The XML of a snapshot, parsed anew."""
        path = self.folder / 'snapshots' / f'{snapshot}.xml'
        return xml.parse(path.read_text())

    @functools.cached_property
    def seen(self) -> list[parsed.ParsedSnapshot]:
        paths = (self.folder / 'snapshots').iterdir()
        return [parsed.parse(self.root(path.stem)) for path in paths]

    def one(self, snapshot: str) -> parsed.ParsedSnapshot:
        return parsed.parse(self.root(snapshot))

    @property
    def current(self) -> str | None:
        listed = self.inventory['snapshots']
        return next((s['name'] for s in listed if s['current']), None)

    def records(self) -> list[Any]:
        return snapshots.records(self.seen, self.current)

    def disk_files(self) -> dict[str, list[str]]:
        """The files that each snapshot has the disks in."""
        return {
            s.record.name: [d.path for d in s.disks if d.path]
            for s in self.seen
        }


def volumes() -> dict[backing.Place, backing.Backed]:
    """Every volume of the host, as ``backing.of_all`` gives them."""
    rows = json.loads((RECORDED / 'volumes.json').read_text())
    return {
        (pool, name): backing.Backed(path, below)
        for pool, name, path, below in rows
    }


class Context:
    """A task of its own, which keeps its journal as JSON would."""

    cancelled = overdue = False

    def __init__(self) -> None:
        self.last_step = ''
        self.journal: dict = {}

    def recall(self, kind):
        return kind.load(self.journal)

    def step(
        self, name: str, noted: Record | None = None, durable: bool = True
    ) -> None:
        self.last_step = name
        if noted:
            self.journal.update(json.loads(json.dumps(noted.dump())))

    def meet(self, point, seconds=None) -> None:
        pass

    def progress(self, percent: int) -> None:
        pass

    def check_active(self) -> None:
        pass

    def add_message(self, message_id: str, *args: object) -> None:
        print(' ', message_id, *args)
