# SPDX-License-Identifier: Apache-2.0
"""
What to say of a name that nothing has.

The service answers with the URI that leads nowhere; who typed a name wants to
know which one was wrong, and what there is.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib import parse

from hawkfish_plugin.cli import output

if TYPE_CHECKING:
    from hawkfish_plugin import client

_KEY = '.ResourceMissingAtURI'
_SNAPSHOT = r'(?:/Oem/HawkFish/Snapshots/(?P<snapshot>[^/]+))?'
_BACKUP = r'(?:/Oem/HawkFish/Backups/(?P<backup>[^/]+))?'
_SYSTEM = re.compile(
    rf'/redfish/v1/Systems/(?P<owner>[^/]+){_SNAPSHOT}{_BACKUP}'
)
_GROUP = re.compile(
    '/redfish/v1/AggregationService/Aggregates/'
    rf'(?P<owner>[^/]+){_SNAPSHOT}'
)
_TASK = re.compile('/redfish/v1/TaskService/Tasks/(?P<owner>[^/]+)')
_SUBSCRIPTION = re.compile(
    '/redfish/v1/EventService/Subscriptions/(?P<owner>[^/]+)'
)
_SCHEDULE = re.compile('/redfish/v1/JobService/Jobs/(?P<owner>[^/]+)')
# More are a list of their own.
_MOST = 20


def words(error: Any, service: 'client.HawkFish') -> str | None:
    """What *error* of *service* says of a name; None of anything else."""
    from sushy import exceptions

    uri = _uri(error)
    try:
        if found := _SYSTEM.match(uri):
            return _of_system(found, service)
        if found := _GROUP.match(uri):
            return _of_group(found, service)
        if found := _SUBSCRIPTION.match(uri):
            known = [one.identity for one in service.subscriptions()]
            return none('subscription', _name(found, 'owner'), known)
        if found := _SCHEDULE.match(uri):
            known = [one.name for one in service.schedules()]
            return none('schedule', _name(found, 'owner'), known)
    except exceptions.SushyError:
        # What was asked for stays the answer.
        return None
    if found := _TASK.match(uri):
        return f'There is no task {_name(found, "owner")}.'
    return None


def _uri(error: Any) -> str:
    """The URI that *error* says leads nowhere, or ''."""
    told = getattr(error, 'extended_info', None)
    for info in told if isinstance(told, list) else ():
        if str(info.get('MessageId')).endswith(_KEY):
            return str((info.get('MessageArgs') or [''])[0])
    return ''


def _name(found: re.Match[str], group: str) -> str:
    return parse.unquote(found[group] or '')


def _of_system(found: re.Match[str], service: 'client.HawkFish') -> str | None:
    system = _name(found, 'owner')
    known = service.systems()
    called = [one.name for one in known if system in (one.name, one.uuid)]
    backup = _name(found, 'backup')
    kept = _backups(system, service) if backup else []
    # What is backed up may be gone.
    if not called and not kept:
        return none('system', system, [one.name for one in known])
    shown = called[0] if called else system
    if backup:
        return none(f'backup of system {shown!r}', backup, kept)
    return _of_snapshot(found, f'system {shown!r}', service.snapshots(system))


def _backups(system: str, service: 'client.HawkFish') -> list[str]:
    from sushy import exceptions

    try:
        members = service.backups(system).get_members()
    except exceptions.ResourceNotFoundError:
        return []
    return [one.identity for one in members]


def _of_group(found: re.Match[str], service: 'client.HawkFish') -> str | None:
    group = _name(found, 'owner')
    known = [one.name for one in service.groups()]
    if group not in known:
        return none('group', group, known)
    return _of_snapshot(
        found, f'group {group!r}', service.group_snapshots(group)
    )


def _of_snapshot(
    found: re.Match[str],
    owner: str,
    snapshots: 'client.SnapshotCollection | client.GroupSnapshotCollection',
) -> str | None:
    name = _name(found, 'snapshot')
    known = [one.name for one in snapshots.get_members()]
    if not name or name in known:
        return None
    return none(f'snapshot of {owner}', name, known)


def none(kind: str, name: str, known: Sequence[str]) -> str:
    """Tell that no *kind* is called *name*, and which are *known*."""
    what, _, owner = kind.partition(' of ')
    of = f' of {owner}' if owner else ''
    text = f'There is no {what} {name!r}{of}.'
    if known:
        shown = [*known[:_MOST], *(['...'] if len(known) > _MOST else [])]
        text += f' There are: {", ".join(shown)}.'
    return output.printable(text)
