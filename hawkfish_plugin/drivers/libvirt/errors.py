# SPDX-License-Identifier: Apache-2.0
"""
Errors of libvirt.

Owns the one question that every handler of an error has to ask first, whether
the connection is still alive, and the translation into a HawkFishError.
"""

import contextlib
from collections.abc import Iterator

import libvirt

from hawkfish_plugin import exceptions


def text(error: libvirt.libvirtError) -> str:
    """The message of *error*."""
    return str(error.get_error_message() or error).strip()


def is_alive(connection: libvirt.virConnect) -> bool:
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False


def raise_if_lost(
    connection: libvirt.virConnect, error: libvirt.libvirtError
) -> None:
    """
    Raise *error* again where it came of a connection that is lost.

    Then it says nothing of what was asked for; returns where libvirt itself
    has answered.
    """
    if not is_alive(connection):
        raise error


@contextlib.contextmanager
def ignored(connection: libvirt.virConnect) -> Iterator[None]:
    """Suppress what libvirt answers; the loss of *connection* is raised."""
    try:
        yield
    except libvirt.libvirtError as exc:
        raise_if_lost(connection, exc)


def translate(
    error: libvirt.libvirtError, operation: str
) -> exceptions.HawkFishError:
    """What libvirt said, as an error that users see."""
    if error.get_error_code() == libvirt.VIR_ERR_OPERATION_TIMEOUT:
        return exceptions.HypervisorBusy(operation, text(error))
    return exceptions.OperationFailed(operation, text(error))
