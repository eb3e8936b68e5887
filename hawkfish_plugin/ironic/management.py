# SPDX-License-Identifier: Apache-2.0
"""
``revert_snapshot`` as a clean, deploy and service step.

Owns the step. It preserves the power state of the node unless another one is
requested, because the steps that follow depend on it.
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


class HawkFishManagement(
    management.RedfishManagement  # type: ignore[misc]
):
    """The Redfish management interface, with the step."""

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
