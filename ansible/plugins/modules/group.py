#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Manage groups of systems."""

DOCUMENTATION = r"""
module: group
short_description: Manage groups of systems
version_added: 1.0.0
description:
  - Creates, changes and deletes groups. Snapshots of a group are those of the
    module M(hawkfish.snapshots.snapshot).
author: HawkFish developers
extends_documentation_fragment: hawkfish.snapshots.service
options:
  name:
    description: Name of the group.
    type: str
    required: true
  systems:
    description:
      - Names or UUIDs of its systems, and of no others. Required if the group
        has to be created.
    type: list
    elements: str
  state:
    description:
      - V(absent) deletes the group. Its systems and their snapshots stay.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: A lab of two systems
  hawkfish.snapshots.group:
    url: http://192.168.111.1:8000
    name: lab
    systems: [node-0, node-1]
"""

RETURN = r"""
group:
  description: The group as Redfish has it, if there is one then.
  returned: success
  type: dict
"""

from ansible_collections.hawkfish.snapshots.plugins.module_utils import (  # noqa: E402
    service,
)

SPEC = {
    'name': {'required': True},
    'systems': {'type': 'list', 'elements': 'str'},
    'state': {'choices': ['present', 'absent'], 'default': 'present'},
}


def main() -> None:
    run = service.Run(argument_spec=SPEC)
    with run.errors():
        found = service.existing(lambda: run.service.group(run.params['name']))
        (present if run.state == 'present' else absent)(run, found)


def present(run, found) -> None:
    systems = run.params['systems']
    before = sorted(found.elements) if found else None
    after = before if systems is None else sorted(uuids(run, systems))
    if after is None:
        run.module.fail_json('systems is required to create a group')
    if run.changes:
        if found is None:
            found = run.service.create_group(after, run.params['name'])
        else:
            found = change(found, set(before), set(after))
    run.end(
        {} if before is None else {'Elements': before},
        {'Elements': after},
        group=found.json if found else {},
    )


def uuids(run, systems):
    """The UUIDs of *systems*; fails for one that does not exist."""
    known = {}
    for system in run.service.systems():
        known[system.name] = known[system.uuid] = system.uuid
    missing = [system for system in systems if system not in known]
    if missing:
        run.module.fail_json(f'There is no system {missing[0]!r}')
    return {known[system] for system in systems}


def change(found, before, after):
    # First what is new: a group without systems may not be wanted at all.
    if after - before:
        found = found.add(sorted(after - before))
    if before - after:
        found = found.remove(sorted(before - after))
    return found


def absent(run, found) -> None:
    if found is None:
        run.end({}, {})
    before = {'Elements': sorted(found.elements)}
    if run.changes:
        found.delete()
    run.end(before, {})


if __name__ == '__main__':
    main()
