# SPDX-License-Identifier: Apache-2.0
"""
The media in the drives of a snapshot.

They are taken out of an external snapshot before libvirt deletes it, and put
back where it refuses.
"""

from hawkfish_plugin.drivers.libvirt import (
    snapshot_xml,
    snapshots,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain


def eject(domain: Domain, root: xml.Element) -> None:
    """Take the media out of the snapshot *root*."""
    if snapshot_xml.eject_media(root):
        snapshots.redefine(domain, root)


def restore(domain: Domain, before: xml.Element) -> None:
    """Let the snapshot *before* have its media again."""
    # What libvirt has noted in it since is kept, such as the new overlays.
    root = snapshots.describe(domain, before.findtext('name', ''))
    if snapshot_xml.insert_media(root, before):
        snapshots.redefine(domain, root)
