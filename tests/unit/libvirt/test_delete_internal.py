# SPDX-License-Identifier: Apache-2.0
"""What is said of an internal snapshot that libvirt could not delete."""

import libvirt
import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import delete, ledger
from hawkfish_plugin.drivers.libvirt.journals import DeleteJournal
from tests.contract.context import Context
from tests.unit.libvirt.hypervisors import Hypervisor

DISKS = ('/images/a.qcow2', '/images/b.qcow2')


def header(count):
    """That of a qcow2 file with *count* snapshots."""
    return b'QFI\xfb'.ljust(60, b'\0') + count.to_bytes(4) + b'rest'


@pytest.fixture
def hypervisor():
    made = Hypervisor()
    made.files.data = {path: header(1) for path in DISKS}
    yield made
    made.close()


@pytest.fixture
def domain(hypervisor):
    made = hypervisor.define(*DISKS)
    made.handle.snapshotCreateXML(
        '<domainsnapshot><name>s</name></domainsnapshot>'
    )
    return made


@pytest.mark.parametrize(
    'touched, known, error, merging',
    [
        # qemu-img gets no write lock on the first disk.
        (0, True, libvirt.libvirtError, False),
        # It is deleted from the first one, and not from the second.
        (1, True, exceptions.MergeFailed, True),
        (0, False, exceptions.MergeFailed, True),
    ],
)
def test_a_delete_that_fails(
    hypervisor, domain, monkeypatch, touched, known, error, merging
):
    """The snapshot is damaged only where a disk may have lost it."""
    if not known:
        hypervisor.files.data.popitem()

    def fail(_snapshot, _flags=0):
        for path in DISKS[:touched]:
            hypervisor.files.data[path] = header(0)
        raise libvirt.libvirtError('internal error')

    monkeypatch.setattr(libvirt.virDomainSnapshot, 'delete', fail)
    context = Context()

    with pytest.raises(error):
        delete.Deletes(hypervisor, ledger.Ledger(), 60).run(
            domain.uuid, 's', context
        )

    assert context.recall(contract.DeleteJournal).merging is merging


@pytest.fixture
def left():
    """The journal of a delete that was abandoned while it merged."""
    context = Context()
    context.step('merge', DeleteJournal(merging=True, losses=1))
    return context


def resume(hypervisor, domain, context):
    delete.Deletes(hypervisor, ledger.Ledger(), 60).resume(
        domain.uuid, 's', lambda domain: None, context
    )


def test_a_delete_goes_on_where_another_was_left(hypervisor, domain, left):
    """How often libvirtd has left that one does not count."""
    resume(hypervisor, domain, left)

    assert not domain.handle.listAllSnapshots()
    assert left.recall(DeleteJournal).losses == 0


def test_a_delete_does_not_go_on_beside_a_backup(
    hypervisor, domain, left, monkeypatch
):
    """As of a new delete: since then anybody may have begun one."""
    domain.handle.create()
    monkeypatch.setattr(
        libvirt.virDomain,
        'backupGetXMLDesc',
        lambda _domain, _flags=0: '<domainbackup><disks/></domainbackup>',
    )

    with pytest.raises(exceptions.BackupJobActive):
        resume(hypervisor, domain, left)

    assert len(domain.handle.listAllSnapshots()) == 1
    assert left.recall(DeleteJournal).merging
