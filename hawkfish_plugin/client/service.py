# SPDX-License-Identifier: Apache-2.0
"""The service, from a URL or from a sushy System."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from urllib import parse

import requests
from sushy import connector
from sushy.resources import base

from hawkfish_plugin.client import (
    answers,
    common,
    events,
    imports,
    patience,
    tasks,
    typed,
)
from hawkfish_plugin.client.backups import BackupCollection
from hawkfish_plugin.client.events import SUBSCRIPTIONS, Event, Subscription
from hawkfish_plugin.client.exports import Export, Progress
from hawkfish_plugin.client.groups import (
    GROUPS,
    Group,
    GroupSnapshotCollection,
    groups_at,
    snapshots_of,
)
from hawkfish_plugin.client.log import AUDIT_LOG, AuditLog
from hawkfish_plugin.client.schedules import JOBS, ScheduleCollection
from hawkfish_plugin.client.snapshots import SnapshotCollection, SnapshotPolicy
from hawkfish_plugin.client.systems import SUMMARIES, SystemSummary
from hawkfish_plugin.client.tasks import TASKS, Task, TaskHandle


class HawkFishSystem(typed.OemResource):
    """The HawkFish extension of a sushy System."""

    _snapshots_path = base.Field(['Snapshots', '@odata.id'], required=True)
    _policy_path = base.Field(['SnapshotPolicy', '@odata.id'])

    @property
    def _connection(self) -> answers.Connection:
        return answers.Connection(self._conn)

    def __repr__(self) -> str:
        system = self._snapshots_path.split('/Oem/')[0]
        return f'<HawkFishSystem {common.name_in({"@odata.id": system})}>'

    @property
    def snapshots(self) -> SnapshotCollection:
        """The snapshots of this system."""
        return SnapshotCollection(self._connection, self._snapshots_path)

    @property
    def policy(self) -> SnapshotPolicy:
        """The limits of this system."""
        return SnapshotPolicy(self._connection, self._policy_path)

    @property
    def groups(self) -> list[Group]:
        """All groups that this system belongs to, with one request."""
        system = self._snapshots_path.split('/Oem/')[0].rpartition('/')[2]
        return [
            group
            for group in groups_at(self._connection)
            if parse.unquote(system) in group.elements
        ]


def get_extension() -> type[HawkFishSystem]:
    """Return the HawkFish extension of a System, for sushy."""
    return HawkFishSystem


class HawkFish:
    """
    A HawkFish service at *url*, with Basic authentication if needed.

    Raises ValueError where *url* is not of HTTP or HTTPS.

    *verify* is True, False or the path of a CA file. Only GET requests are
    retried, so that no operation is executed twice. A connection that is
    refused is tried again for two seconds, or 15 if it is to this machine: the
    service may be starting. With *timeout_sec*, it is not, and no answer is
    waited for any longer.
    """

    def __init__(
        self,
        url: str,
        username: str | None = None,
        password: str | None = None,
        verify: bool | str = True,
        timeout_sec: float | None = None,
    ) -> None:
        if not url.startswith(('http://', 'https://')):
            raise ValueError(
                f'{url!r} does not start with http:// or https://'
            )
        self.url = url
        self.username = username
        # 1 is the minimum of sushy: 0 means three attempts, 2 s apart.
        conn = connector.Connector(url, verify=verify, server_side_retries=1)
        for scheme in ('http://', 'https://'):
            conn._session.mount(
                scheme,
                patience.Patient()
                if timeout_sec is None
                else patience.Impatient(timeout_sec),
            )
        if username is not None:
            # requests would encode text as Latin-1.
            conn.set_http_basic_auth(
                username.encode(), (password or '').encode()
            )
        self._conn = answers.Connection(conn)

    def __repr__(self) -> str:
        return f'<HawkFish {_without_credentials(self.url)}>'

    @property
    def proxy(self) -> str | None:
        """
        The URL of the proxy that the environment wants for this service.

        It is without its credentials, if it has any.
        """
        proxies = requests.utils.get_environ_proxies(self.url)
        found = requests.utils.select_proxy(self.url, proxies)
        if not found:
            return None
        return _without_credentials(found)

    def snapshots(self, system: str) -> SnapshotCollection:
        """Return the snapshots of *system*, a name or UUID."""
        return SnapshotCollection(
            self._conn, common.of_system(system, 'Snapshots')
        )

    def exports(self, system: str) -> list[Export]:
        """Return the exports of *system*, oldest first, with one request."""
        path = common.of_system(system, 'Exports')
        return common.read_all(Export, self._conn, path)

    def group_exports(self, group: str) -> list[Export]:
        """Return the exports of the group *group*, oldest first."""
        path = f'{common.below(GROUPS, group)}/Oem/HawkFish/Exports'
        return common.read_all(Export, self._conn, path)

    def export_system(
        self, system: str, memory: bool | None = None
    ) -> TaskHandle[Export]:
        """
        Make *system* ready to be fetched as a bundle, as it is now.

        With *memory*, including that of a running system.
        """
        path = common.of_system(system, 'Exports')
        return tasks.create(self._conn, path, Export, IncludeMemory=memory)

    def backups(self, system: str) -> BackupCollection:
        """
        Return the backups of *system*, a name or UUID; it may be gone.
        """
        return BackupCollection(
            self._conn, common.of_system(system, 'Backups')
        )

    def import_system(
        self,
        path: str,
        name: str | None = None,
        pool: str | None = None,
        start: bool | None = None,
        progress: Progress | None = None,
        keep_identity: bool | None = None,
        memory: bool | None = None,
    ) -> TaskHandle[None]:
        """
        Make a new system of the bundle in the file *path*.

        *name* is by default that of the system that was exported, *pool* the
        storage pool of its disks, by default the configured one. With
        *keep_identity* it has the UUID and the MAC addresses that it had; with
        *memory* as well, its guest goes on where it was.
        *progress* is called with the bytes sent and the size of the file.
        """
        return imports.send(
            self._conn,
            path,
            progress,
            Name=name,
            Pool=pool,
            Start=start,
            KeepIdentity=keep_identity,
            Memory=memory,
        )

    def import_over(
        self,
        path: str,
        system: str,
        start: bool | None = None,
        memory: bool | None = None,
        progress: Progress | None = None,
    ) -> TaskHandle[None]:
        """
        Let *system*, a name or UUID, have the disks of the bundle in *path*.

        A safety snapshot keeps what it is now. It is off then, unless it is
        to *start*, or goes on with the *memory* in the bundle.
        """
        return imports.send(
            self._conn,
            path,
            progress,
            Over=system,
            Start=start,
            Memory=memory,
        )

    def import_group(
        self,
        path: str,
        name: str | None = None,
        prefix: str | None = None,
        pool: str | None = None,
        start: bool | None = None,
        keep_identity: bool | None = None,
        progress: Progress | None = None,
        memory: bool | None = None,
    ) -> TaskHandle[None]:
        """
        Make a new group of the bundle of one in the file *path*.

        All of its systems are made, or none. *name* is that of the group, by
        default the one that was exported; the name of each system begins with
        *prefix*. The others are as for ``import_system``.
        """
        return imports.send(
            self._conn,
            path,
            progress,
            Name=name,
            Prefix=prefix,
            Pool=pool,
            Start=start,
            KeepIdentity=keep_identity,
            Memory=memory,
        )

    def policy(self, system: str) -> SnapshotPolicy:
        """Return the limits of *system*, a name or UUID."""
        return SnapshotPolicy(
            self._conn, common.of_system(system, 'SnapshotPolicy')
        )

    def systems(self) -> list[SystemSummary]:
        """Return a summary of each system, by name, with one request."""
        return common.read_all(SystemSummary, self._conn, SUMMARIES)

    def groups(self) -> list[Group]:
        """Return all groups of systems, with one request."""
        return groups_at(self._conn)

    def group(self, name: str) -> Group:
        """Return the group *name*."""
        return Group(self._conn, common.below(GROUPS, name))

    def group_snapshots(self, group: str) -> GroupSnapshotCollection:
        """Return the snapshots of the group *group*."""
        return snapshots_of(self._conn, common.below(GROUPS, group))

    def create_group(
        self, systems: Iterable[str], name: str | None = None
    ) -> Group:
        """
        Create a group of *systems*, names or UUIDs.

        The service chooses a *name* that is None.
        """
        body = common.given(Name=name, Elements=common.elements(systems))
        response = self._conn.post(GROUPS, data=body)
        path = response.headers['Location']
        return Group(self._conn, path, json_doc=response.json())

    def tasks(self) -> list[Task]:
        """Return all tasks, in the order of the service, with one request."""
        return common.read_all(Task, self._conn, TASKS)

    def task(self, identity: str) -> Task:
        """Return the task with the ID *identity*."""
        return Task(self._conn, common.below(TASKS, identity))

    def audit_log(self, system: str | None = None) -> AuditLog:
        """
        Return the audit log of the service.

        Or that of *system*, a name or UUID.
        """
        if system is None:
            return AuditLog(self._conn, AUDIT_LOG)
        path = f'{common.system_path(system)}/LogServices/Audit'
        return AuditLog(self._conn, path)

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions, with one request."""
        return common.read_all(Subscription, self._conn, SUBSCRIPTIONS)

    def subscription(self, identity: str) -> Subscription:
        """Return the subscription with the ID *identity*."""
        path = common.below(SUBSCRIPTIONS, identity)
        return Subscription(self._conn, path)

    def subscribe(
        self,
        destination: str,
        context: str | None = None,
        retry_policy: str | None = None,
        verify_certificate: bool | None = None,
        headers: Sequence[Mapping[str, str]] | None = None,
        registry_prefixes: Sequence[str] | None = None,
        exclude_registry_prefixes: Sequence[str] | None = None,
        message_ids: Sequence[str] | None = None,
        exclude_message_ids: Sequence[str] | None = None,
        resource_types: Sequence[str] | None = None,
        severities: Sequence[str] | None = None,
        origins: Sequence[str] | None = None,
    ) -> Subscription:
        """
        Subscribe *destination*, an http or https URL, to events.

        *context* is sent with each event, as are the *headers*, each of
        which is a name and a value. An event has to match one value of each
        filter; *origins* are paths of resources, and what is below them
        counts as well.
        """
        body = common.given(
            Destination=destination,
            Protocol='Redfish',
            Context=context,
            DeliveryRetryPolicy=retry_policy,
            VerifyCertificate=verify_certificate,
            HttpHeaders=headers,
            RegistryPrefixes=registry_prefixes,
            ExcludeRegistryPrefixes=exclude_registry_prefixes,
            MessageIds=message_ids,
            ExcludeMessageIds=exclude_message_ids,
            ResourceTypes=resource_types,
            Severities=severities,
        )
        if origins:
            body['OriginResources'] = [{'@odata.id': one} for one in origins]
            body['SubordinateResources'] = True
        response = self._conn.post(SUBSCRIPTIONS, data=body)
        path = response.headers['Location']
        return Subscription(self._conn, path, json_doc=response.json())

    def schedules(self) -> ScheduleCollection:
        """Return the schedules."""
        return ScheduleCollection(self._conn, JOBS)

    def events(
        self,
        after: str | None = None,
        wanted: str | None = None,
        lost: Callable[[], None] | None = None,
    ) -> Iterator[Event]:
        """
        Yield events as they happen, without end.

        Starts after the event with the identity *after*, if given, and
        yields only events that match the ``$filter`` *wanted*. If an open
        stream is lost, *lost* is called and the stream is reopened without
        missing events.
        """
        return events.stream(self._conn, after, wanted, lost)


def _without_credentials(url: str) -> str:
    parts = parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()
