# SPDX-License-Identifier: Apache-2.0
"""
Commands for the QEMU of a domain, by its monitor.

Only for what libvirt has no call for; see ``virDomainQemuMonitorCommand``.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

import libvirt
import libvirt_qemu

from hawkfish_plugin.drivers.libvirt.domains import Domain

_DYING_SECONDS, _LOOK_SECONDS = 2.0, 0.05
_JSON = 'json:'


def ask(
    domain: Domain, command: str, arguments: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """The answer of QEMU: its ``return``, or its ``error``."""
    question = {'execute': command, 'arguments': arguments or {}}
    text = domain.asked(
        lambda: libvirt_qemu.qemuMonitorCommand(
            domain.handle, json.dumps(question), 0
        )
    )
    answer: dict[str, Any] = json.loads(text)
    return answer


def listed(domain: Domain, query: str) -> list[dict[str, Any]]:
    """What a *query* lists; nothing where there is no QEMU."""
    deadline = time.monotonic() + _DYING_SECONDS
    while domain.is_active:
        try:
            return list(ask(domain, query).get('return', []))
        except libvirt.libvirtError:
            # libvirt takes a moment to notice that a QEMU has died.
            if time.monotonic() > deadline:
                raise
        time.sleep(_LOOK_SECONDS)
    return []


def plain(name: str) -> str:
    """
    The path of the file that QEMU names.

    Where the options of a node differ from what its file says, QEMU names it
    by its options, as JSON; an example is an overlay without a backing file.
    """
    if not name.startswith(_JSON):
        return name
    options = json.loads(name.removeprefix(_JSON))
    while isinstance(options.get('file'), dict):
        options = options['file']
    return str(options.get('filename', ''))
