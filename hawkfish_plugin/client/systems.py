# SPDX-License-Identifier: Apache-2.0
"""The systems of the service, in a list of all."""

from sushy.resources import base

from hawkfish_plugin.client import common, typed
from hawkfish_plugin.client.snapshots import SnapshotCollection, SnapshotPolicy

SUMMARIES = '/redfish/v1/Oem/HawkFish/SystemSummaries'


class SystemSummary(typed.Resource):
    """A system in a list of all: what it is, and where it stands."""

    name: str = base.Field('Name')
    uuid: str = base.Field('UUID')
    power_state: str = base.Field('PowerState')
    """On or Off"""

    snapshot_count: int = base.Field('SnapshotCount')
    current_snapshot: str | None = base.Field(
        ['Links', 'CurrentSnapshot'], adapter=common.name_in
    )
    """Name of the current snapshot, or None"""

    groups: list[str] = base.Field(
        ['Links', 'Aggregates'], adapter=common.names_in
    )
    """Names of the groups that it belongs to"""

    def __repr__(self) -> str:
        return f'<SystemSummary {self.name!r}: {self.power_state}>'

    @property
    def snapshots(self) -> SnapshotCollection:
        """The snapshots of this system."""
        path = common.of_system(self.uuid, 'Snapshots')
        return SnapshotCollection(self._conn, path)

    @property
    def policy(self) -> SnapshotPolicy:
        """The limits of this system."""
        path = common.of_system(self.uuid, 'SnapshotPolicy')
        return SnapshotPolicy(self._conn, path)
