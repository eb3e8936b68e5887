# SPDX-License-Identifier: Apache-2.0
"""What verifications of snapshots and of backups have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

from hawkfish_plugin.client import common


def body(
    run_time: common.Seconds | None,
    agent: bool | None,
    console: str | None,
    command: Sequence[str] | None,
    screenshot: bool | None,
    deadline: common.Seconds | None,
    deadlines: Mapping[str, common.Seconds] | None,
) -> dict[str, Any]:
    """Return the parameters of the action; None is what was not given."""
    return {
        'RunSeconds': common.whole_seconds(run_time),
        'Agent': agent,
        'ConsolePattern': console,
        'Command': None if command is None else list(command),
        'Screenshot': screenshot,
        'DeadlineSeconds': common.whole_seconds(deadline),
        **{
            f'{check}DeadlineSeconds': common.whole_seconds(seconds)
            for check, seconds in (deadlines or {}).items()
        },
    }


def picture(conn: Any, verification: Mapping[str, Any] | None) -> bytes | None:
    """Return the PNG file of *verification*, if there is one."""
    uri = (verification or {}).get('ScreenshotURI')
    if uri is None:
        return None
    found: bytes = conn.get(uri).content
    return found
