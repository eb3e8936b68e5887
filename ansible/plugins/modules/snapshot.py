#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Create, delete and revert to snapshots of a system or a group."""

DOCUMENTATION = r"""
module: snapshot
short_description: Manage snapshots of systems and groups
version_added: 1.0.0
description:
  - Creates, changes, deletes and reverts to a snapshot of a system, or of all
    systems of a group at one moment.
author: HawkFish developers
extends_documentation_fragment: hawkfish.snapshots.service
options:
  system:
    description:
      - Name or UUID of the system. Either this or O(group) is required.
    type: str
  group:
    description:
      - Name of the group.
    type: str
  name:
    description:
      - Name of the snapshot.
    type: str
    required: true
  state:
    description:
      - V(present) creates the snapshot unless it exists. An existing one is
        not made again, but gets the O(description), O(locked) and
        O(expires_time) that are given. One that is being created or deleted
        is waited for; one whose data is damaged is an error.
      - V(absent) deletes it; the system keeps its current state.
      - V(reverted) reverts the system or all systems of the group. What they
        have written since is lost, so this is always a change.
    type: str
    choices: [present, absent, reverted]
    default: present
  description:
    description: Description of the snapshot.
    type: str
  locked:
    description: Whether the snapshot is protected from deletion.
    type: bool
  expires_time:
    description:
      - When the snapshot may be deleted, with a time zone, such as
        V(2030-01-31T12:00:00Z).
    type: str
  memory:
    description:
      - Whether the memory of a running system is captured. For a group,
        V(false) captures the disks only.
    type: bool
  quiesce:
    description: Whether the guest agent flushes the file systems.
    type: str
    choices: [Preferred, Required, Never]
  power_state:
    description: Power state after a revert.
    type: str
    choices: [AsCaptured, 'On', 'Off', Paused]
  safety_snapshot:
    description: Whether a revert saves the current state in a snapshot first.
    type: bool
  force:
    description: Whether a revert goes on without the firmware state.
    type: bool
"""

EXAMPLES = r"""
- name: Keep a clean state of a system
  hawkfish.snapshots.snapshot:
    url: http://192.168.111.1:8000
    system: node-0
    name: clean
    locked: true

- name: Go back to it
  hawkfish.snapshots.snapshot:
    url: http://192.168.111.1:8000
    system: node-0
    name: clean
    state: reverted

- name: Capture all systems of a group at one moment
  hawkfish.snapshots.snapshot:
    url: http://192.168.111.1:8000
    group: lab
    name: deployed
"""

RETURN = r"""
snapshot:
  description: The snapshot as Redfish has it, if there is one then.
  returned: success
  type: dict
preview:
  description: What the revert of one system does, from before it.
  returned: if a system is reverted
  type: dict
"""

from ansible_collections.hawkfish.snapshots.plugins.module_utils import (  # noqa: E402
    service,
)

SPEC = {
    'system': {},
    'group': {},
    'name': {'required': True},
    'state': {
        'choices': ['present', 'absent', 'reverted'],
        'default': 'present',
    },
    'description': {},
    'locked': {'type': 'bool'},
    'expires_time': {},
    'memory': {'type': 'bool'},
    'quiesce': {'choices': ['Preferred', 'Required', 'Never']},
    'power_state': {'choices': ['AsCaptured', 'On', 'Off', 'Paused']},
    'safety_snapshot': {'type': 'bool'},
    'force': {'type': 'bool'},
}
CHANGEABLE = {
    'Description': 'description',
    'Locked': 'locked',
    'ExpiresTime': 'expires_time',
}


def main() -> None:
    run = service.Run(
        argument_spec=SPEC,
        mutually_exclusive=[('system', 'group')],
        required_one_of=[('system', 'group')],
    )
    with run.errors():
        if run.params['group']:
            snapshots = run.service.group_snapshots(run.params['group'])
        else:
            snapshots = run.service.snapshots(run.params['system'])
        # A system or a group that does not exist is an error.
        found = run.settled(
            lambda: find(snapshots, run.params['name']), 'SnapshotState'
        )
        {'present': present, 'absent': absent, 'reverted': reverted}[
            run.state
        ](run, snapshots, found)


def find(snapshots, name):
    return next((s for s in snapshots if s.name == name), None)


def present(run, snapshots, found) -> None:
    expires = service.stamp(run.moment('expires_time'))
    wanted = run.given(**CHANGEABLE)
    if expires:
        wanted['ExpiresTime'] = expires
    if found is None:
        after = {'Name': run.params['name'], **wanted}
        if run.changes:
            found = run.wait(create(run, snapshots))
        run.end({}, after, snapshot=found.json if found else after)
    if found.snapshot_state == 'Failed':
        run.module.fail_json(
            f'The data of snapshot {found.name!r} is damaged. '
            "Delete it with 'state: absent', then create it again."
        )
    now = {**found.json, 'ExpiresTime': service.stamp(found.expires_time)}
    before = {name: now.get(name) for name in wanted}
    if run.changes and before != wanted:
        found = found.update(
            **{CHANGEABLE[name]: value for name, value in wanted.items()}
        )
    run.end(before, wanted, snapshot=found.json)


def create(run, snapshots):
    params = run.params
    options = {
        'name': params['name'],
        'description': params['description'],
        'quiesce': params['quiesce'],
        'locked': params['locked'],
        'expires_time': params['expires_time'],
    }
    if not params['group']:
        options['include_memory'] = params['memory']
    elif params['memory'] is False:
        options['consistency'] = 'DisksOnly'
    return snapshots.create(**options)


def absent(run, snapshots, found) -> None:
    if found is None:
        run.end({}, {})
    if run.changes:
        run.wait(found.delete())
    run.end({'Name': found.name}, {})


def reverted(run, snapshots, found) -> None:
    if found is None:
        run.module.fail_json(f'There is no snapshot {run.params["name"]!r}')
    options = {
        'target_power_state': run.params['power_state'],
        'safety_snapshot': run.params['safety_snapshot'],
        'force': run.params['force'],
    }
    result = {}
    if not run.params['group']:
        # It also refuses what would be refused, in check mode too.
        result['preview'] = found.preview_revert(**options)
    if run.changes:
        run.wait(found.revert(**options))
        found = snapshots.get(found.name)
    run.end(
        {'state': 'as it is now'},
        {'state': f'as in {found.name}'},
        snapshot=found.json,
        **result,
    )


if __name__ == '__main__':
    main()
