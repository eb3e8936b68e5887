# SPDX-License-Identifier: Apache-2.0
"""What is said of the files of a create that failed."""

import libvirt
import pytest

from hawkfish_plugin.drivers.libvirt import create_finish
from tests.unit.libvirt import hosted
from tests.unit.libvirt.recordings import Context

MADE, NEVER = (f'/i/hawkfish-0123456789ab-vd{n}.qcow2' for n in 'ab')


class Domain:
    """A domain of which libvirtd says nothing."""

    name, uuid = 'node', 'u'

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
    with hosted.libvirtd() as made:
        for path in files:
            made.file(path)
        told = Told()

        left = create_finish.remove_files(
            Domain(made.host), [MADE, NEVER], told
        )

        assert left == list(files)
        assert made.paths() == set(files)
    assert [p for key, p in told.messages if key == 'OverlayLeft'] == left
