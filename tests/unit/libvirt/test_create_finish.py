# SPDX-License-Identifier: Apache-2.0
"""What is said of the files of a create that failed."""

import libvirt
import pytest

from hawkfish_plugin.drivers.libvirt import create_finish
from tests.unit.libvirt.recordings import Context

MADE, NEVER = (f'/i/hawkfish-0123456789ab-vd{n}.qcow2' for n in 'ab')


class Host:
    """A host whose libvirtd says nothing of a domain, but of files."""

    connection = property(lambda self: self)
    storage = property(lambda self: self)

    def __init__(self, *files):
        self.files = set(files)

    def ask(self, thing, call):
        return call()

    def listAllDomains(self, flags=0):
        return []

    def raise_if_lost(self, error):
        pass

    def exists(self, path):
        return path in self.files

    def remove(self, path):
        self.files.discard(path)


class Domain:
    name = 'node'

    def __init__(self, host):
        self.host = host

    @property
    def is_active(self):
        raise libvirt.libvirtError('busy')


class Told(Context):
    def __init__(self):
        super().__init__()
        self.messages = []

    def add_message(self, message_id, *args):
        self.messages.append((message_id.rpartition('.')[2], args[0]))


@pytest.mark.parametrize('files', [(), (MADE,), (MADE, NEVER)])
def test_only_files_that_are_there_are_left(files):
    """Nobody is sent to look for an overlay that was never made."""
    host, told = Host(*files), Told()

    left = create_finish.remove_files(Domain(host), [MADE, NEVER], told)

    assert left == list(files)
    assert host.files == set(files)
    assert [p for key, p in told.messages if key == 'OverlayLeft'] == left
