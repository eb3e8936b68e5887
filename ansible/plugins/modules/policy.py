#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Manage the limits of the snapshots of a system."""

DOCUMENTATION = r"""
module: policy
short_description: Manage the limits of the snapshots of a system
version_added: 1.0.0
description:
  - Sets limits of one system, or lets those of the configuration apply again.
author: HawkFish developers
extends_documentation_fragment: hawkfish.snapshots.service
options:
  system:
    description: Name or UUID of the system.
    type: str
    required: true
  state:
    description:
      - V(absent) removes all limits that were set for the system, so that the
        configured ones apply. Check mode cannot tell whether that would
        change something.
    type: str
    choices: [present, absent]
    default: present
  max_snapshots:
    description: Maximum number of snapshots; 0 means no limit.
    type: int
  max_age_seconds:
    description: Seconds after which a snapshot is deleted; 0 means no limit.
    type: int
  max_bytes:
    description: Maximum size of all snapshots in bytes; 0 means no limit.
    type: int
  on_limit:
    description: What a create that exceeds a limit does.
    type: str
    choices: [Prune, Refuse]
  keep_newest_verified:
    description: Whether the newest snapshot that was verified is kept.
    type: bool
"""

EXAMPLES = r"""
- name: No more than ten snapshots
  hawkfish.snapshots.policy:
    url: http://192.168.111.1:8000
    system: node-0
    max_snapshots: 10
"""

RETURN = r"""
policy:
  description: The policy as Redfish has it.
  returned: success
  type: dict
"""

from ansible_collections.hawkfish.snapshots.plugins.module_utils import (  # noqa: E402
    service,
)

LIMITS = {
    'MaxSnapshots': 'max_snapshots',
    'MaxAgeSeconds': 'max_age_seconds',
    'MaxBytes': 'max_bytes',
    'OnLimit': 'on_limit',
    'KeepNewestVerified': 'keep_newest_verified',
}
# How the SDK calls what has another name here.
KEYWORDS = {**LIMITS, 'MaxAgeSeconds': 'max_age'}
SPEC = {
    'system': {'required': True},
    'state': {'choices': ['present', 'absent'], 'default': 'present'},
    'max_snapshots': {'type': 'int'},
    'max_age_seconds': {'type': 'int'},
    'max_bytes': {'type': 'int'},
    'on_limit': {'choices': ['Prune', 'Refuse']},
    'keep_newest_verified': {'type': 'bool'},
}


def main() -> None:
    run = service.Run(argument_spec=SPEC)
    with run.errors():
        policy = run.service.policy(run.params['system'])
        if run.state == 'present':
            wanted = run.given(**LIMITS)
        else:
            wanted = dict.fromkeys(LIMITS)
        before = limits(policy)
        after = {**before, **wanted}
        if run.state == 'absent' and not run.changes:
            # The service does not say which limits are the system's own.
            run.module.warn('Check mode does not know the configured limits.')
            after = before
        if run.changes and after != before:
            policy = policy.update(
                **{KEYWORDS[name]: value for name, value in wanted.items()}
            )
            after = limits(policy)
        run.end(before, after, policy=policy.json)


def limits(policy):
    return {name: policy.json.get(name) for name in LIMITS}


if __name__ == '__main__':
    main()
