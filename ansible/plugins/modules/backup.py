#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Manage backups of systems in the repository."""

DOCUMENTATION = r"""
module: backup
short_description: Manage backups of systems in the repository
version_added: 1.0.0
description:
  - Makes, deletes and restores backups. A backup has no name, so the module
    finds it by its O(description), or by its O(id).
author: HawkFish developers
extends_documentation_fragment: hawkfish.snapshots.service
options:
  system:
    description: Name or UUID of the system that is, or was, backed up.
    type: str
    required: true
  description:
    description:
      - Description of the backup. With several of the same description, the
        newest one is meant, but one that is being deleted only if there is no
        other. Either this or O(id) is required.
    type: str
  id:
    description: ID of an existing backup.
    type: str
  state:
    description:
      - V(present) backs up the system as it is now, unless there is a backup
        of this O(description).
      - V(absent) deletes it. No other one may stand on it.
      - V(restored) makes a new system of it, unless there is a system of this
        O(name).
    type: str
    choices: [present, absent, restored]
    default: present
  full:
    description: Whether everything is stored, and not only what has changed.
    type: bool
    default: false
  quiesce:
    description: Whether the guest agent freezes the file systems.
    type: str
    choices: [Preferred, Required, Never]
  name:
    description: Name of the system that is made. Required to restore.
    type: str
  pool:
    description: Name of the storage pool for its disks.
    type: str
  start:
    description: Whether it is started.
    type: bool
"""

EXAMPLES = r"""
- name: Back up a system
  hawkfish.snapshots.backup:
    url: http://192.168.111.1:8000
    system: node-0
    description: before-upgrade

- name: Make another system of the backup
  hawkfish.snapshots.backup:
    url: http://192.168.111.1:8000
    system: node-0
    description: before-upgrade
    name: node-0-again
    state: restored
"""

RETURN = r"""
backup:
  description: The backup as Redfish has it, if there is one then.
  returned: success
  type: dict
"""

from ansible_collections.hawkfish.snapshots.plugins.module_utils import (  # noqa: E402
    service,
)

SPEC = {
    'system': {'required': True},
    'description': {},
    'id': {},
    'state': {
        'choices': ['present', 'absent', 'restored'],
        'default': 'present',
    },
    'full': {'type': 'bool', 'default': False},
    'quiesce': {'choices': ['Preferred', 'Required', 'Never']},
    'name': {},
    'pool': {},
    'start': {'type': 'bool'},
}


def main() -> None:
    run = service.Run(
        argument_spec=SPEC,
        required_one_of=[('description', 'id')],
        required_if=[('state', 'restored', ['name'])],
    )
    with run.errors():
        backups = run.service.backups(run.params['system'])
        found = run.settled(lambda: find(run, backups), 'BackupState')
        {'present': present, 'absent': absent, 'restored': restored}[
            run.state
        ](run, backups, found)


def find(run, backups):
    identity, description = run.params['id'], run.params['description']
    meant = [
        backup
        for backup in backups
        if identity in (None, backup.identity)
        and description in (None, backup.description)
    ]
    # The newest one is the last, but one that stays is meant before that.
    stay = [backup for backup in meant if backup.state != 'Deleting']
    return (stay or meant or [None])[-1]


def present(run, backups, found) -> None:
    after = {'Description': run.params['description']}
    if found is not None:
        run.end(after, after, backup=found.json)
    if run.params['id']:
        run.module.fail_json(f'There is no backup {run.params["id"]}')
    if run.changes:
        found = run.wait(
            backups.create(
                full=run.params['full'],
                description=run.params['description'],
                quiesce=run.params['quiesce'],
            )
        )
    run.end({}, after, backup=found.json if found else after)


def absent(run, backups, found) -> None:
    if found is None:
        run.end({}, {})
    if run.changes:
        run.wait(found.delete())
    run.end({'Id': found.identity}, {})


def restored(run, backups, found) -> None:
    name = run.params['name']
    after = {'system': name}
    if any(system.name == name for system in run.service.systems()):
        run.end(after, after)
    if found is None:
        run.module.fail_json('There is no such backup')
    if run.changes:
        run.wait(
            found.restore(
                name=name,
                pool=run.params['pool'],
                start=run.params['start'],
            )
        )
    run.end({}, after, backup=found.json)


if __name__ == '__main__':
    main()
