# SPDX-License-Identifier: Apache-2.0
"""A storage pool that is the repository of backups."""

import contextlib
import pathlib
from collections.abc import Iterator

import libvirt

from tests.lab.host import Host


@contextlib.contextmanager
def repository(host: Host, name: str, path: str) -> Iterator[pathlib.Path]:
    """The pool *name* at *path*, empty, and active; gone at the end."""
    folder = host.path(path)
    folder.mkdir(parents=True, exist_ok=True)
    text = (
        f"<pool type='dir'><name>{name}</name>"
        f'<target><path>{path}</path></target></pool>'
    )
    with contextlib.closing(host.connect()) as connection:
        made = connection.storagePoolDefineXML(text)
        made.create()
        made.setAutostart(True)
    yield folder
    with contextlib.closing(host.connect()) as connection:
        pool = connection.storagePoolLookupByName(name)
        with contextlib.suppress(libvirt.libvirtError):
            pool.destroy()
        pool.undefine()
    for file in folder.iterdir():
        file.unlink()
