# SPDX-License-Identifier: Apache-2.0
"""
Systems with many snapshots, made in seconds.

One snapshot is made in earnest; the others are redefinitions of it, in chains
of ten, each with a file of its own that holds its disk.
"""

import contextlib
import re
import shutil
from typing import Any

import libvirt

from tests.functional.conftest import SMALL
from tests.lab import domains
from tests.lab.host import IMAGES, Host

_BRANCH = 10


def small(host: Host, name: str) -> str:
    """Define a small system that is off, and return its UUID."""
    return domains.define(host, domains.Domain(name, **SMALL))


def grow(host: Host, name: str, count: int) -> None:
    """Let the system *name*, which is off, have *count* snapshots."""
    with contextlib.closing(host.connect()) as connection:
        domain = connection.lookupByName(name)
        made = set(domain.snapshotListNames())
        if not made:
            domain.snapshotCreateXML(
                '<domainsnapshot><name>s0</name></domainsnapshot>',
                libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY,
            )
        text = domain.snapshotLookupByName('s0').getXMLDesc()
        for number in range(1, count):
            if f's{number}' not in made:
                _copy(host, domain, text, number)
        connection.storagePoolLookupByName('default').refresh()


def _copy(host: Host, domain: Any, text: str, number: int) -> None:
    stem = f'{IMAGES}/{domain.name()}-1'
    shutil.copyfile(host.path(f'{stem}.s0'), host.path(f'{stem}.s{number}'))
    parent = 's0' if number % _BRANCH == 1 else f's{number - 1}'
    for old, new in (
        ('<name>s0<', f'<name>s{number}<'),
        ('<state>', f'<parent><name>{parent}</name></parent><state>'),
        (re.escape(f'{stem}.s0'), f'{stem}.s{number}.after'),
        (re.escape(f'{stem}.qcow2'), f'{stem}.s{number}'),
    ):
        text = re.sub(old, new, text, count=1)
    text = re.sub(
        r'(?<=<creationTime>)\d+', lambda t: str(int(t[0]) + number), text
    )
    domain.snapshotCreateXML(text, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE)
