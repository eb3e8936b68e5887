# SPDX-License-Identifier: Apache-2.0
"""
Snapshots through vendor passthru.

Owns the methods and their arguments. Long operations run in the background of
the conductor; if they fail, the error is the ``last_error`` of the node.
"""

from typing import Any

from ironic.drivers import base
from ironic.drivers.modules.redfish import vendor

from hawkfish_plugin.ironic import operations

# The required and the optional arguments of each method.
METHODS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    'list_snapshots': ((), ()),
    'create_snapshot': (
        (),
        ('name', 'description', 'include_memory', 'quiesce', 'timeout'),
    ),
    'revert_snapshot': (('name',), ('target_power_state', 'timeout')),
    'delete_snapshot': (('name',), ('timeout',)),
}


def _read(method: str, given: dict[str, Any]) -> dict[str, Any]:
    required, optional = METHODS[method]
    return operations.read(given, required, optional)


def _describe(method: str, text: str) -> str:
    required, optional = METHODS[method]
    arguments = ', '.join([*required, *(f'[{name}]' for name in optional)])
    return f'{text} Arguments: {arguments or "none"}.'


class HawkFishVendorPassthru(
    vendor.RedfishVendorPassthru  # type: ignore[misc]
):
    """The Redfish vendor interface, with methods for snapshots."""

    def validate(
        self,
        task: Any,
        method: str,
        http_method: str | None = None,
        **kwargs: Any,
    ) -> None:
        if method in METHODS:
            _read(method, kwargs)
        else:
            super().validate(task, method, http_method=http_method, **kwargs)

    @base.passthru(  # type: ignore[untyped-decorator]
        ['GET'],
        async_call=False,
        require_exclusive_lock=False,
        description=_describe(
            'list_snapshots', 'List the snapshots of the node.'
        ),
    )
    def list_snapshots(
        self, task: Any, http_method: str | None = None
    ) -> dict[str, Any]:
        # Clients expect an object, not a list.
        return {'snapshots': operations.listing(task)}

    @base.passthru(  # type: ignore[untyped-decorator]
        ['POST'],
        description=_describe('create_snapshot', 'Create a snapshot.'),
    )
    def create_snapshot(
        self, task: Any, http_method: str | None = None, **kwargs: Any
    ) -> None:
        operations.create(task, **_read('create_snapshot', kwargs))

    @base.passthru(  # type: ignore[untyped-decorator]
        ['POST'],
        description=_describe(
            'revert_snapshot', 'Revert the node to a snapshot.'
        ),
    )
    def revert_snapshot(
        self, task: Any, http_method: str | None = None, **kwargs: Any
    ) -> None:
        operations.revert(task, **_read('revert_snapshot', kwargs))

    @base.passthru(  # type: ignore[untyped-decorator]
        ['POST'],
        description=_describe('delete_snapshot', 'Delete a snapshot.'),
    )
    def delete_snapshot(
        self, task: Any, http_method: str | None = None, **kwargs: Any
    ) -> None:
        operations.delete(task, **_read('delete_snapshot', kwargs))
