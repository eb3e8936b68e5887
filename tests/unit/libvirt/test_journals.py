# SPDX-License-Identifier: Apache-2.0
"""Journals of former releases are read, and keep what they held."""

import json

import pytest

from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import journals, parsed, xml
from tests.unit.libvirt.recordings import FORMER_RELEASES, Context

KINDS = {
    'create': journals.CreateJournal,
    'revert': journals.RevertJournal,
    'delete': journals.DeleteJournal,
}
FORMER = [path for folder in FORMER_RELEASES for path in folder.iterdir()]


def read(path):
    kind = KINDS[path.stem.partition('-')[0]]
    stored = json.loads(path.read_text())
    return kind.load(stored), stored


@pytest.mark.parametrize('path', FORMER, ids=lambda p: p.stem)
def test_every_journal_of_a_former_release(path):
    """Nothing that a former release has noted is lost or renamed."""
    journal, stored = read(path)

    known = journal.dump()
    assert {k: known[k] for k in stored if k != 'step'} == {
        k: v for k, v in stored.items() if k != 'step'
    }


def test_a_capture_of_a_former_release():
    """Settling a create knows how its file systems were quiesced."""
    (path,) = [p for p in FORMER if p.stem == 'create-capture']
    journal, _ = read(path)

    assert journal.quiesced() == contract.Quiesce(contract.NOT_REQUESTED)
    assert journal.volumes.keys() == {'vda'}
    assert set(journal.firmware.values()) < set(journal.files)


def test_a_revert_of_a_former_release():
    """Settling a revert finds its snapshot, its media and its overlays."""
    (path,) = [p for p in FORMER if p.stem == 'revert-revert']
    journal, _ = read(path)
    target = parsed.parse(xml.parse(journal.snapshot_xml))

    assert target.record.name == journal.current == 'one'
    assert journal.power_state == contract.ON
    assert journal.domain_id > 0
    assert set(journal.media) == {'sda'}
    assert journal.bases == [disk.path for disk in target.disks]
    for text in (journal.domain_xml, journal.live_xml):
        assert xml.disks(xml.parse(text))


def test_a_delete_of_a_former_release():
    """Settling a delete knows that a merge had begun."""
    noted = {
        path.stem: read(path)[0].merging
        for path in FORMER
        if path.stem.startswith('delete')
    }

    assert noted == {
        'delete-prepare': False,
        'delete-merge': True,
        'delete-finish': True,
    }


def test_a_step_notes_no_more_than_it_is_given():
    """A part of a journal that is noted leaves the rest alone."""
    context = Context()
    context.step('prepare', journals.CreateJournal(files=['/a'], frozen=True))
    context.step(
        'capture', journals.CaptureNote(True, quiesce={'status': 'Failed'})
    )
    context.step('finish', journals.HoldNote())

    journal = context.recall(journals.CreateJournal)
    assert journal.files == ['/a']
    assert not journal.frozen
    assert journal.quiesced() == contract.Quiesce(contract.QUIESCE_FAILED)


def test_nothing_noted_yet():
    """A delete that has noted nothing has nothing to remove."""
    journal = Context().recall(journals.DeleteJournal)

    assert not journal.merging
    assert not journal.files
