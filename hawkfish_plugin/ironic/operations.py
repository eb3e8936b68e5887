# SPDX-License-Identifier: Apache-2.0
"""
Snapshot operations on a node, for the Ironic interfaces.

Owns how arguments are parsed, how long to wait, and how errors are reported.
Every call returns when its operation has ended, and updates the power state
of the node: Ironic locks the node meanwhile, and does not check the power
state again before the next run of its periodic task.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ironic.common import exception, states
from ironic.conf import CONF
from ironic.drivers.modules.redfish import utils
from oslo_utils import strutils
from sushy import exceptions

from hawkfish_plugin import client

# The default deadline of a task in the service.
TIMEOUT = 3600.0

POWER_STATES = ('AsCaptured', 'On', 'Off')

NO_PLUGIN = (
    'the emulator of this node serves no snapshots: HawkFish Snapshots is '
    'not activated there'
)


def _boolean(text: object) -> bool:
    value: bool = strutils.bool_from_string(text, strict=True)
    return value


def _seconds(text: Any) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError('it is not a number of seconds above 0')
    return value


def _name(text: object) -> str:
    if not isinstance(text, str) or not text:
        raise ValueError('it is not a name')
    return text


def _power_state(text: object) -> str:
    if text not in POWER_STATES:
        raise ValueError(f'it is none of {", ".join(POWER_STATES)}')
    return str(text)


_READERS: dict[str, Callable[[Any], Any]] = {
    'name': _name,
    'group': _name,
    'description': str,
    'include_memory': _boolean,
    'quiesce': str,
    'target_power_state': _power_state,
    'timeout': _seconds,
}


def read(
    given: Mapping[str, object],
    required: Sequence[str],
    optional: Sequence[str],
) -> dict[str, Any]:
    """Validate and convert *given* for the functions below."""
    known = [*required, *optional]
    for name in required:
        if given.get(name) is None:
            raise exception.MissingParameterValue(
                f'The argument {name} is missing.'
            )
    arguments = {}
    for name, value in given.items():
        if name not in known:
            raise exception.InvalidParameterValue(
                f'There is no argument {name}; known are {", ".join(known)}.'
            )
        try:
            arguments[name] = _READERS[name](value)
        except (TypeError, ValueError) as error:
            raise exception.InvalidParameterValue(
                f'The argument {name} is {value!r}: {error}.'
            ) from None
    return arguments


def listing(task: Any) -> list[dict[str, Any]]:
    """Return the snapshots of the node, oldest first."""
    with _told():
        return [
            {
                'name': snapshot.name,
                'description': snapshot.description,
                'state': snapshot.snapshot_state,
                'type': snapshot.snapshot_type,
                'power_state': snapshot.power_state,
                'current': snapshot.is_current,
                'created': snapshot.json.get('CreatedTime'),
                'parent': snapshot.parent,
            }
            for snapshot in _snapshots(task).get_members()
        ]


def create(task: Any, timeout: float = TIMEOUT, **what: Any) -> None:
    """Create a snapshot; *what* is for ``SnapshotCollection.create``."""
    with _told():
        _snapshots(task).create(**what).wait(timeout)


def revert(
    task: Any,
    name: str,
    target_power_state: str | None = None,
    timeout: float = TIMEOUT,
) -> None:
    """Revert the node, and update its power state in Ironic."""
    try:
        with _told():
            snapshot = _snapshots(task).get(name)
            snapshot.revert(target_power_state).wait(timeout)
    finally:
        # A failed revert may have changed it, too.
        _follow_power(task)


def revert_group(
    task: Any,
    name: str,
    group: str | None = None,
    target_power_state: str | None = None,
    timeout: float = TIMEOUT,
) -> None:
    """
    Revert the group of the node, and update the node's power state.

    The node keeps its power state if *target_power_state* is None. Raises
    InvalidParameterValue unless the operator allows it for the group.
    """
    before = task.driver.power.get_power_state(task)
    try:
        with _told():
            snapshots = _group(task, group).snapshots
            snapshots.get(name).revert(target_power_state).wait(timeout)
        if target_power_state is None:
            _restore_power(task, before)
    finally:
        # A failed revert may have changed it, too.
        _follow_power(task)


def _group(task: Any, name: str | None) -> client.Group:
    """The group of the node that is meant, and may be reverted."""
    allowed = set(CONF.hawkfish.revert_groups)
    found = [
        group
        for group in _extension(task).groups
        if group.name in allowed and name in (None, group.name)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ', '.join(group.name for group in found)
        reason = f'Name the group: the node is in {names}.'
    else:
        reason = (
            f'The node is not in a group {name} that may be reverted; see'
            if name
            else 'The node is in no group that may be reverted; see'
        ) + ' revert_groups in the section [hawkfish] of the configuration.'
    raise exception.InvalidParameterValue(reason)


def _restore_power(task: Any, before: str) -> None:
    known = (states.POWER_ON, states.POWER_OFF)
    if before in known and before != task.driver.power.get_power_state(task):
        task.driver.power.set_power_state(task, before)


def delete(task: Any, name: str, timeout: float = TIMEOUT) -> None:
    """Delete a snapshot; the node keeps its current state."""
    with _told():
        _snapshots(task).get(name).delete().wait(timeout)


def power_state(task: Any) -> str:
    """Return the power state of the node in the form ``revert`` takes."""
    now = task.driver.power.get_power_state(task)
    known = {states.POWER_ON: 'On', states.POWER_OFF: 'Off'}
    return known.get(now, 'AsCaptured')


def _snapshots(task: Any) -> client.SnapshotCollection:
    return _extension(task).snapshots


def _extension(task: Any) -> client.HawkFishSystem:
    system = utils.get_system(task.node)
    if 'HawkFish' not in system.json.get('Oem', {}):
        raise exception.RedfishError(error=NO_PLUGIN)
    found: client.HawkFishSystem = system.get_oem_extension('HawkFish')
    return found


def _follow_power(task: Any) -> None:
    with contextlib.suppress(exception.IronicException):
        task.node.power_state = task.driver.power.get_power_state(task)
        task.node.save()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn errors into Ironic's, with the messages of the service."""
    try:
        yield
    except client.TaskTimeout as error:
        raise exception.RedfishError(error=f'{error}; it continues') from error
    except exceptions.SushyError as error:
        words = ' '.join(client.messages(error)) or str(error)
        raise exception.RedfishError(error=words) from error
