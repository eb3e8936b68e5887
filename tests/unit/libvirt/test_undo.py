# SPDX-License-Identifier: Apache-2.0
"""
What becomes of a revert that was interrupted, by what is found since.

Others may have started, stopped or saved the system, or deleted snapshots; and
the number of a running domain comes again after its host has restarted.

Long, as each state that a revert can be found in has its test.
"""

import libvirt
import pytest

from hawkfish_plugin import conf, exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import (
    domain_jobs,
    domains,
    journals,
    ledger,
    revert,
    snapshot_xml,
    snapshots,
    xml,
)
from tests.contract.context import Context
from tests.contract.outcomes import outcome
from tests.unit.libvirt.hypervisors import Hypervisor, definition, paths

OLD = '/old/disk.qcow2'
NEW = '/new/hawkfish-0123456789ab-vda.qcow2'


class Interrupted:
    """
    A revert of *domain* to ``s`` from ``t`` that its process has left.

    It was *running*, and its memory is to be loaded where there is *memory*.
    """

    def __init__(self, running=True, memory=True):
        self.hypervisor = Hypervisor()
        self.domain = self.hypervisor.define(OLD)
        self.files = self.hypervisor.files
        self.files.present.add(NEW)
        if running:
            self.domain.handle.create()
        for name in 'st':
            self.snapshot(name)
        self.journal = self._journal(running, memory)
        self.context = Context()
        self.note('revert')

    def snapshot(self, name):
        self.domain.handle.snapshotCreateXML(
            '<domainsnapshot>'
            f'<name>{name}</name><description/></domainsnapshot>'
        )

    def _journal(self, running, memory):
        domain = self.domain.again()
        state = 'running' if memory else 'shutoff'
        root = snapshots.describe(domain, 's')
        root.find('state').text = state
        kept = root.find('memory')
        if kept is not None:
            root.remove(kept)
        if memory:
            attributes = {'snapshot': 'external', 'file': '/old/memory'}
            root.append(xml.Element('memory', attributes))
        return journals.RevertJournal(
            snapshot_xml=xml.render(root),
            domain_xml=domain.text(inactive=True, secure=True),
            live_xml=domain.text(secure=True),
            power_state=domain.power_state,
            domain_id=domain.id,
            current='t',
            current_xml=xml.render(snapshots.describe(domain, 't')),
            next_xml=definition(domain.name, [NEW], domain.uuid),
            created={'vda': NEW},
            loads_memory=memory,
        )

    def note(self, step, **fields):
        for name, value in fields.items():
            object.__setattr__(self.journal, name, value)
        self.context.step(step, self.journal)

    def stop(self):
        self.domain.again().destroy()

    def define_new(self):
        self.hypervisor.move(self.domain, NEW)

    def start(self):
        self.domain.again().handle.create()

    def settle(self, heir=None):
        """What it returns or raises; see ``outcome``."""
        request = contract.RevertRequest('s')
        return outcome(
            lambda context: revert.settle(
                self.hypervisor,
                self.domain.uuid,
                request,
                conf.load(),
                context,
                ledger.Ledger(),
            ),
            heir or self.context.heir(),
        )

    @property
    def is_active(self):
        return self.domain.again().is_active

    @property
    def disks(self):
        """Of the definition in use, and of the next start."""
        return paths(self.domain), paths(self.domain, inactive=True)

    @property
    def current(self):
        return snapshots.current(self.domain)


@pytest.fixture
def interrupt(monkeypatch):
    monkeypatch.setattr(domain_jobs, '_IDLE_SECONDS', 0.0)
    made = []

    def make(**fields):
        made.append(Interrupted(**fields))
        return made[-1]

    yield make
    for each in made:
        each.hypervisor.close()


@pytest.fixture
def loaded(monkeypatch):
    """The definitions that memory was loaded for; instead of loading it."""
    found = []

    def restore(_connection, _image, text, _flags):
        found.append(text)
        raise libvirt.libvirtError('refused')

    monkeypatch.setattr(libvirt.virConnect, 'restoreFlags', restore)
    monkeypatch.setattr(
        libvirt.virConnect,
        'saveImageGetXMLDesc',
        lambda *_: definition('node', [OLD]),
    )
    return found


def test_memory_is_loaded_onto_empty_overlays(interrupt, loaded):
    """Stopped by the revert and not started since, it goes on."""
    left = interrupt()
    left.define_new()
    left.stop()

    assert isinstance(left.settle(), exceptions.RevertUndone)

    assert len(loaded) == 1
    assert NEW in loaded[0]


def test_no_memory_is_loaded_onto_what_was_written(interrupt, loaded):
    """Somebody has started the system, worked, and shut it down."""
    left = interrupt()
    left.define_new()
    left.stop()
    left.files.written.add(NEW)

    assert isinstance(left.settle(), exceptions.RevertUnfinished)

    assert loaded == []
    assert not left.is_active
    assert left.disks == ([NEW], [NEW])
    assert left.current == 's'
    assert left.files.removed == []


@pytest.mark.parametrize('memory', [True, False])
def test_a_save_on_the_new_overlays(interrupt, loaded, memory):
    """A host that goes down saves what somebody has started there."""
    left = interrupt(memory=memory)
    left.define_new()
    left.stop()
    left.start()
    left.domain.again().handle.managedSave()

    assert isinstance(left.settle(), exceptions.RevertUnfinished)

    assert loaded == []
    assert left.domain.again().has_managed_save
    assert not left.is_active


def test_a_number_that_comes_again(interrupt, loaded):
    """
    The host has restarted: what runs now is on the new overlays.

    The old definition is not put below it.
    """
    left = interrupt()
    left.define_new()
    left.stop()
    left.start()
    left.note('revert', domain_id=left.domain.again().id)

    assert isinstance(left.settle(), exceptions.RevertUnfinished)

    assert left.is_active
    assert left.disks == ([NEW], [NEW])
    assert left.files.removed == []


def test_a_system_that_was_not_stopped(interrupt):
    """Its next start is on the files of before again."""
    left = interrupt()
    left.define_new()

    assert isinstance(left.settle(), exceptions.OperationInterrupted)

    assert left.is_active
    assert left.disks == ([OLD], [OLD])
    assert left.files.removed == [NEW]
    assert left.current == 't'


def test_a_system_that_others_have_stopped(interrupt, loaded):
    """What it was on is kept: somebody may have worked there since."""
    left = interrupt()
    left.stop()

    assert isinstance(left.settle(), exceptions.RevertUndone)

    assert not left.is_active
    assert left.disks == ([OLD], [OLD])
    assert left.files.removed == [NEW]


def test_an_undo_that_was_interrupted(interrupt, loaded):
    """It is gone on with: the system gets its power state again."""
    left = interrupt()
    left.stop()
    left.note('revert', undoing=True)

    assert isinstance(left.settle(), exceptions.RevertUndone)

    assert left.is_active
    assert left.disks == ([OLD], [OLD])
    assert loaded == []


def test_an_undo_of_what_somebody_uses_by_now(interrupt, loaded):
    """What they have written is not taken from them."""
    left = interrupt()
    left.define_new()
    left.stop()
    left.note('start', undoing=True)
    left.start()

    assert isinstance(left.settle(), exceptions.RevertNotUndone)

    assert left.is_active
    assert left.disks == ([NEW], [NEW])


def test_a_current_snapshot_that_was_deleted(interrupt):
    """It does not come back."""
    left = interrupt()
    snapshots.find(left.domain, 't').delete()

    left.settle()

    assert snapshots.names(left.domain) == {'s'}


def test_a_current_snapshot_that_was_replaced(interrupt):
    """A later one of its name is not taken for it."""
    left = interrupt()
    root = snapshots.describe(left.domain, 't')
    root.find('creationTime').text = '1'
    left.note('revert', current_xml=xml.render(root))
    snapshots.make_current(left.domain, snapshots.describe(left.domain, 's'))

    left.settle()

    assert left.current == 's'


@pytest.fixture
def revert_disks(monkeypatch):
    """The test driver keeps ``<revertDisks>`` of snapshots, as QEMU's does."""
    kept = {}
    create = libvirt.virDomain.snapshotCreateXML
    describe = libvirt.virDomainSnapshot.getXMLDesc

    def keep(handle, text, flags=0):
        root = xml.parse(text)
        kept[root.findtext('name')] = root.find('revertDisks')
        return create(handle, text, flags)

    def add(snapshot, flags=0):
        root = xml.parse(describe(snapshot, flags))
        disks = kept.get(snapshot.getName())
        root.extend([] if disks is None else [disks])
        return xml.render(root)

    monkeypatch.setattr(libvirt.virDomain, 'snapshotCreateXML', keep)
    monkeypatch.setattr(libvirt.virDomainSnapshot, 'getXMLDesc', add)


@pytest.mark.usefixtures('revert_disks')
@pytest.mark.parametrize('current', ['s', 't'])
@pytest.mark.parametrize('running', [True, False])
def test_a_system_that_does_not_start(
    interrupt, monkeypatch, running, current
):
    """The revert is undone, with the files of before; no new one is named."""
    left = interrupt(running=running, memory=False)
    left.define_new()
    if running:
        left.stop()
    root = xml.parse(left.journal.snapshot_xml)
    root.find('state').text = 'running'
    left.note(
        'start',
        snapshot_xml=xml.render(root),
        current=current,
        current_xml=xml.render(snapshots.describe(left.domain, current)),
    )
    noted = snapshots.describe(left.domain, 's')
    snapshot_xml.set_revert_disks(noted, {'vda': NEW})
    snapshots.make_current(left.domain, noted)
    starts = []
    create = libvirt.virDomain.createWithFlags

    def fail_once(handle, flags):
        starts.append(paths(domains.Domain(left.hypervisor.host, handle)))
        if len(starts) == 1:
            raise libvirt.libvirtError('no port is free')
        return create(handle, flags)

    monkeypatch.setattr(libvirt.virDomain, 'createWithFlags', fail_once)

    assert isinstance(left.settle(), exceptions.RevertUndone)

    assert starts == ([[NEW], [OLD]] if running else [[NEW]])
    assert left.disks == ([OLD], [OLD])
    assert left.files.present == {OLD}
    assert left.is_active == running
    assert left.current == current
    assert NEW not in str(snapshots.texts(left.domain))


def test_a_system_that_does_not_start_at_all(interrupt, monkeypatch):
    """Its disks and its definition are those of before, and it says why."""
    left = interrupt(memory=False)
    left.define_new()
    left.stop()
    left.note('start', undoing=True)

    def fail(_handle, _flags):
        raise libvirt.libvirtError('no port is free')

    monkeypatch.setattr(libvirt.virDomain, 'createWithFlags', fail)

    error = left.settle()

    assert isinstance(error, exceptions.RevertUndone)
    assert 'no port is free' in error.args[2]
    assert left.disks == ([OLD], [OLD])
    assert left.files.present == {OLD}


@pytest.mark.parametrize('call', ['defineXML', 'restoreFlags'])
def test_an_abandoned_revert_does_no_more(
    interrupt, loaded, monkeypatch, call
):
    """
    Abandoned while a call of libvirt hangs, it leaves the system alone.

    Somebody may have mended and started it by the time that libvirt answers.
    """
    left = interrupt()
    left.define_new()
    left.stop()
    heir = left.context.heir()
    monkeypatch.setattr(
        libvirt.virConnect, 'restoreFlags', lambda *_: loaded.append(_)
    )
    ask = getattr(libvirt.virConnect, call)

    def hang(*args):
        answer = ask(*args)
        heir.abandoned = True
        return answer

    monkeypatch.setattr(libvirt.virConnect, call, hang)

    with pytest.raises(contract.Abandoned):
        left.settle(heir)

    assert len(loaded) == (call == 'restoreFlags')
    assert left.current == 't'
    assert left.files.removed == []


def test_an_abandoned_undo_does_no_more(interrupt, monkeypatch):
    """Nor does it start the system, or remove a file."""
    left = interrupt()
    left.define_new()
    left.stop()
    left.note('revert', undoing=True)
    heir = left.context.heir()
    define = libvirt.virConnect.defineXML

    def hang(*args):
        answer = define(*args)
        heir.abandoned = True
        return answer

    monkeypatch.setattr(libvirt.virConnect, 'defineXML', hang)

    with pytest.raises(contract.Abandoned):
        left.settle(heir)

    assert not left.is_active
    assert left.current == 't'
    assert left.files.removed == []
