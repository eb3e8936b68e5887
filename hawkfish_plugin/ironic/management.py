# SPDX-License-Identifier: Apache-2.0
"""
``revert_snapshot`` and ``revert_group`` as clean, deploy and service steps.

Owns the steps. They preserve the power state of the node unless another one
is requested, because the steps that follow depend on it.
"""

from typing import Any

from ironic.drivers import base
from ironic.drivers.modules.redfish import management

from hawkfish_plugin.ironic import operations

ARGUMENTS = {
    'name': {'description': 'Name of the snapshot.', 'required': True},
    'target_power_state': {
        'description': 'On, Off or AsCaptured; unchanged if not given.'
    },
    'timeout': {
        'description': 'Seconds to wait for the revert; '
        f'{operations.TIMEOUT:g} if not given.',
    },
}

GROUP_ARGUMENTS = {
    'name': {'description': 'Name of the group snapshot.', 'required': True},
    'group': {
        'description': 'Name of the group, if the node is in several that '
        'may be reverted.'
    },
    'target_power_state': {
        'description': 'On, Off or AsCaptured, of all systems; AsCaptured if '
        'not given, and then the node itself keeps its power state.'
    },
    'timeout': ARGUMENTS['timeout'],
}


class HawkFishManagement(
    management.RedfishManagement  # type: ignore[misc]
):
    """The Redfish management interface, with the steps."""

    @base.clean_step(  # type: ignore[untyped-decorator]
        priority=0, argsinfo=ARGUMENTS, requires_ramdisk=False
    )
    @base.deploy_step(  # type: ignore[untyped-decorator]
        priority=0, argsinfo=ARGUMENTS
    )
    @base.service_step(  # type: ignore[untyped-decorator]
        priority=0, argsinfo=ARGUMENTS, requires_ramdisk=False
    )
    def revert_snapshot(self, task: Any, **kwargs: Any) -> None:
        """Revert the node to a snapshot."""
        name, *optional = ARGUMENTS
        arguments = operations.read(kwargs, (name,), optional)
        if 'target_power_state' not in arguments:
            arguments['target_power_state'] = operations.power_state(task)
        operations.revert(task, **arguments)

    @base.clean_step(  # type: ignore[untyped-decorator]
        priority=0, argsinfo=GROUP_ARGUMENTS, requires_ramdisk=False
    )
    @base.deploy_step(  # type: ignore[untyped-decorator]
        priority=0, argsinfo=GROUP_ARGUMENTS
    )
    @base.service_step(  # type: ignore[untyped-decorator]
        priority=0, argsinfo=GROUP_ARGUMENTS, requires_ramdisk=False
    )
    def revert_group(self, task: Any, **kwargs: Any) -> None:
        """Revert the group of the node, as far as the operator allows it."""
        name, *optional = GROUP_ARGUMENTS
        operations.revert_group(
            task, **operations.read(kwargs, (name,), optional)
        )
