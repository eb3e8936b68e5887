# SPDX-License-Identifier: Apache-2.0
"""Block commits, with a libvirt that says what a test wants it to say."""

import libvirt
import pytest

from hawkfish_plugin import exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.libvirt import commits, hosts
from hawkfish_plugin.drivers.libvirt.domains import Domain
from hawkfish_plugin.drivers.libvirt.layers import Merge
from tests.contract.context import Context
from tests.unit.libvirt.hosted import libvirtd
from tests.unit.libvirt.hypervisors import definition

MERGE = Merge('vda', '/base', '/top', None)
PIVOT = libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT
CHAIN = (
    "<source file='/top' index='1'/><backingStore type='file' index='2'>"
    "<source file='/base'/></backingStore>"
)
READY = (
    "<mirror type='file' job='active-commit' ready='yes'>"
    "<source file='/base'/></mirror>"
)
COPY = libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COPY
COMMIT = libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT
ACTIVE_COMMIT = libvirt.VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT


VOLUME = (
    "<source file='/top' index='2'/><backingStore type='volume' index='1'>"
    "<source pool='images' volume='disk'/></backingStore>"
)


class Handle:
    """
    A running domain of libvirt's whose merge is ready at once.

    Its disk has *chain*, and the job of the disk is *mirror*.

    Each look at the merge calls *looked*.
    """

    def __init__(self, looked, chain=CHAIN, mirror=READY):
        self.job, self.aborted = {}, []
        self.looked, self.chain, self.mirror = looked, chain, mirror
        self.committed = None

    def name(self):
        return 'node'

    def UUIDString(self):
        return 'a' * 36

    def ID(self):
        return 1

    def XMLDesc(self, flags):
        text = definition('node', ['/top'])
        text = text.replace('<source file="/top" />', self.chain)
        return text.replace('<target', self.mirror + '<target')

    def blockCommit(self, target, base, top, *_):
        self.committed = base, top
        self.job = {'type': ACTIVE_COMMIT, 'cur': 1, 'end': 1}

    def blockJobInfo(self, target):
        if self.job:
            self.looked()
        return self.job

    def blockJobAbort(self, target, flags=0):
        self.aborted.append(flags)


def run(context, looked):
    handle = Handle(looked)
    host = hosts.Host(None, hosts.Shared(), context.check_active)
    work = commits.Commits(Domain(host, handle), 's', [MERGE])
    try:
        work.run(context, 60)
    finally:
        run.aborted = handle.aborted


def test_a_merge_that_is_ready():
    """It ends with the pivot."""
    run(Context(), lambda: None)

    assert run.aborted == [PIVOT]


def test_a_merge_by_what_is_there_now():
    """Whatever the decision to merge has read."""
    handle = Handle(lambda: None)
    host = hosts.Host(None, hosts.Shared())
    domain = Domain(host, handle)
    with host.moments.at_one_time():
        domain.definition()
        handle.chain = CHAIN.replace('2', '7').replace('1', '6')
        commits.Commits(domain, 's', [MERGE]).run(Context(), 60)

    assert handle.committed == ('vda[7]', 'vda[6]')


def test_an_abandoned_merge_is_not_ended():
    """
    The disk stays as it was: no pivot.

    Its own job is stopped, as nobody else would.
    """
    context = Context()

    def looked():
        context.abandoned = True

    with pytest.raises(contract.Abandoned):
        run(context, looked)

    assert run.aborted == [0]


def test_the_base_is_a_volume_of_a_pool():
    """
    It is found by its path, though libvirt names its pool.

    So the chain is after every create of a system on such a volume.
    """
    handle = Handle(lambda: None, VOLUME)
    with libvirtd() as daemon:
        daemon.pool('images', '/images')
        base = daemon.file('/images/disk')
        merges = [Merge('vda', base, '/top', None)]
        domain = Domain(daemon.host, handle)

        commits.Commits(domain, 's', merges).run(Context(), 60)

    assert handle.committed == ('vda[1]', 'vda[2]')
    assert handle.aborted == [PIVOT]


def settle(kind, mirror):
    """A merge that finds a job of *kind*, after the emulator has died."""
    handle = Handle(lambda: None, mirror=mirror)
    handle.job = {'type': kind, 'cur': 1, 'end': 1}
    with libvirtd() as daemon:
        domain = Domain(daemon.host, handle)
        try:
            commits.Commits(domain, 's', [MERGE]).run(Context(), 60)
        finally:
            settle.aborted = handle.aborted


def test_a_merge_that_an_interrupted_try_has_left():
    """It is taken over."""
    settle(ACTIVE_COMMIT, READY)

    assert settle.aborted == [PIVOT]


@pytest.mark.parametrize(
    'kind, path',
    [(COPY, '/backup'), (COPY, '/base'), (ACTIVE_COMMIT, '/below')],
)
def test_the_job_of_somebody_else(kind, path):
    """
    It is neither ended nor stopped: a system would be on its backup.

    It can have begun since QEMU died with the merge.
    """
    with pytest.raises(exceptions.BlockJobActive):
        settle(kind, READY.replace('/base', path))

    assert settle.aborted == []


def test_the_job_of_somebody_else_further_below():
    """What is not merged is not taken for what the guest writes to."""
    with pytest.raises(exceptions.BlockJobActive):
        settle(COMMIT, '')
