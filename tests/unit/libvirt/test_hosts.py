# SPDX-License-Identifier: Apache-2.0
"""
What each version of libvirt is trusted with.

Of 9.9 to 10.10 no other thing is kept: libvirt cannot revert to a snapshot
there that has only the disks of a running system, and need not, as the driver
reverts to external snapshots by itself.
"""

import re

import pytest

from hawkfish_plugin.drivers.libvirt import connections, hosts


class Connection:
    """What a libvirt of some version tells of itself."""

    def __init__(self, version):
        self.getLibVersion = lambda: version


def host(version):
    return hosts.Host(Connection(version), hosts.Shared())


@pytest.mark.parametrize(
    'version, longest',
    [
        (9_000_000, 150),
        (9_009_000, 150),
        (10_007_000, 150),
        (10_008_000, 20),
        (10_010_000, 20),
        (11_003_000, 20),
        (11_010_000, 20),
        (12_000_000, 150),
        (12_008_000, 150),
    ],
)
def test_how_long_a_chain_may_be(version, longest):
    """Chains stay short where json-c cannot parse what QEMU says of them."""
    assert host(version).longest_chain == longest


@pytest.mark.parametrize(
    'version, private',
    [(9_009_000, False), (11_009_000, False), (11_010_000, True)],
)
def test_who_makes_overlays(version, private):
    """Overlays of a system that is off are made by who makes them private."""
    assert host(version).makes_private_overlays is private


@pytest.mark.parametrize(
    'version, rewrites',
    [(9_000_000, True), (10_010_000, True), (11_003_000, False)],
)
def test_who_rewrites_later_snapshots(version, rewrites):
    """What is not known of a version is taken for the worse."""
    assert host(version).rewrites_children is rewrites


@pytest.mark.parametrize(
    'version, external',
    [
        (7_000_000, False),
        (8_010_000, False),
        (9_000_000, True),
        (9_009_000, True),
        (12_008_000, True),
    ],
)
def test_who_has_external_snapshots(version, external):
    """Reverts and deletes are the driver's own, from the oldest one tested."""
    assert host(version).supports_external is external


def test_a_version_in_words():
    """libvirt's number is told as it is written elsewhere."""
    assert host(11_003_001).version == '11.3.1'


def test_the_version_is_known_after_a_connection():
    """It is not asked for again, nor for that alone."""
    hypervisor = connections.Hypervisor('test:///default')
    assert hypervisor.version is None

    with hypervisor.host('look-up') as host:
        assert hypervisor.version == host.version
    assert re.fullmatch(r'\d+\.\d+\.\d+', hypervisor.version or '')
