# SPDX-License-Identifier: Apache-2.0
"""Which paths are of one block device."""

import os

import pytest

from hawkfish_plugin.drivers.libvirt import devices
from tests.unit.libvirt import hosted

NODE = '/dev/null'


@pytest.fixture
def link():
    """Another path of that device on this machine."""
    number = os.open(NODE, os.O_RDONLY)
    yield f'/dev/fd/{number}'
    os.close(number)


@pytest.mark.parametrize('uri', ['qemu:///system', 'qemu+unix:///system'])
def test_two_paths_of_a_device_of_this_machine(link, uri):
    """Its number tells."""
    with hosted.libvirtd() as host:
        host.uri = uri
        found = devices.names(host.host, [NODE, link, '/dev/gone', '/images'])

    assert found == {NODE: link, link: link, '/dev/gone': '/dev/gone'}


@pytest.mark.parametrize(
    'uri',
    [
        'qemu+ssh://elsewhere/system',
        'qemu+unix:///system?socket=/run/forwarded.sock',
        'qemu:///system?mode=direct&socket=/run/forwarded.sock',
    ],
)
def test_two_paths_of_a_device_elsewhere(link, uri):
    """The numbers of this machine tell nothing of another one."""
    with hosted.libvirtd() as host:
        host.uri = uri
        found = devices.names(host.host, [NODE, link])

    assert found == {NODE: NODE, link: link}
