# SPDX-License-Identifier: Apache-2.0
"""
The media in the drives of a snapshot.

Release 1.0 took them out of an external snapshot for the time of a revert;
one that was interrupted is settled by a later release.
"""

from hawkfish_plugin.drivers.libvirt import (
    snapshot_xml,
    snapshots,
    xml,
)
from hawkfish_plugin.drivers.libvirt.domains import Domain


def restore(domain: Domain, before: xml.Element) -> None:
    """Let the snapshot *before* have its media again."""
    # What libvirt has noted in it since is kept, such as the new overlays.
    root = snapshots.describe(domain, before.findtext('name', ''))
    if snapshot_xml.insert_media(root, before):
        snapshots.redefine(domain, root)
