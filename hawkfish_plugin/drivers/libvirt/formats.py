# SPDX-License-Identifier: Apache-2.0
"""
The formats that the files of a host are read in.

The header of a file that a guest writes to as raw is of the guest's making.
"""

from collections.abc import Callable, Iterable, Mapping, Set

from hawkfish_plugin.drivers.libvirt.backing import Backed
from hawkfish_plugin.drivers.libvirt.definitions import Definition


def said(
    definitions: Iterable[Definition],
    volumes: Iterable[Backed],
    of: Callable[[str], str],
) -> Mapping[str, Set[str]]:
    """
    In what formats each file is read; *of* is the same for all of its paths.

    Told by the definitions, and by the headers of those files that QEMU alone
    has written, as these are never read as raw.
    """
    formats = dict[str, set[str]]()
    for definition in definitions:
        for path, kind in definition.formats:
            formats.setdefault(of(path), set()).add(kind)
    headers = {of(v.path): v for v in volumes if v.below}
    pending = [*formats]
    while pending:
        file = pending.pop()
        volume, found = headers.get(file), formats[file]
        if volume is None or not volume.below or found & {'raw', ''}:
            continue
        below, kind = of(volume.below), volume.kind or ''
        known = formats.setdefault(below, set())
        if kind not in known:
            known.add(kind)
            pending.append(below)
    return formats
