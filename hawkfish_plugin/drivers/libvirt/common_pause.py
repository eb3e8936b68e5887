# SPDX-License-Identifier: Apache-2.0
"""
The pause in which the systems of a group are captured.

Owns that all of them are suspended before the first one is captured, and that
each is resumed, whatever becomes of the others, of libvirt or of the task.
Who holds the pause has noted so before (``journals.HoldNote``), and ``settle``
resumes the system where the process has died.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator

import libvirt

from hawkfish_plugin import bounds, exceptions
from hawkfish_plugin.drivers import contract
from hawkfish_plugin.drivers.contract import Meeting
from hawkfish_plugin.drivers.libvirt.domains import Domain

# Until the agents of all have flushed, each of which has its own time-out.
_FLUSH_SECONDS: float = bounds.MEETING_SECONDS
# Who is suspended waits no longer for those that are not,
SUSPEND_SECONDS = 10.0
# and whose own capture is complete needs none of the others: nothing that it
# does from now on can be in what they capture.
_CAPTURE_SECONDS = 30.0


class CommonPause:
    """What is known of a pause; *capture* once it is over."""

    capture: contract.Capture | None = None


def begin(context: contract.TaskContext) -> None:
    """
    Wait until all of the group are ready for the pause.

    Raises MeetingMissed.  Nothing is frozen or suspended yet.
    """
    context.meet(Meeting.FLUSHED, _FLUSH_SECONDS)


@contextlib.contextmanager
def held(
    domain: Domain, context: contract.TaskContext, seconds: float
) -> Iterator[CommonPause]:
    """
    Keep *domain* suspended in the block, while all of its group are.

    One that does not run stays as it is; the others have *seconds* to be
    suspended.  Raises MeetingMissed where they do not come as far, and
    NotAnswering where it could not be resumed, which ``settle`` has to do
    then.
    """
    context.meet(Meeting.FROZEN, seconds)
    pause, patience = CommonPause(), 0.0
    # Its owner may have paused it since the plan was made.
    runs = domain.power_state == contract.ON
    try:
        if runs:
            domain.suspend()
            pause.capture = contract.Capture(time.time(), time.monotonic())
        context.meet(Meeting.PAUSED, seconds)
        yield pause
        patience = _CAPTURE_SECONDS
    finally:
        # Where this one fails, nobody waits while it is cleaned up.
        try:
            with contextlib.suppress(
                exceptions.MeetingMissed, exceptions.OperationCancelled
            ):
                context.meet(Meeting.CAPTURED, patience)
        finally:
            if runs:
                resume(domain)
                _measure(pause)


def resume(domain: Domain) -> None:
    """Resume *domain*, where it is there; NotAnswering if it stays paused."""
    try:
        domain.resume(always=True)
    except libvirt.libvirtError as exc:
        domain.host.raise_if_lost(exc)
        # It runs already, or its QEMU has ended.
        if domain.power_state == contract.PAUSED:
            raise exceptions.NotAnswering(domain.name, 0) from exc


def _measure(pause: CommonPause) -> None:
    if pause.capture:
        seconds = time.monotonic() - pause.capture.monotonic
        pause.capture = dataclasses.replace(pause.capture, pause=seconds)
