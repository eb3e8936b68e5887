# SPDX-License-Identifier: Apache-2.0
"""
The files of a bundle that has been received.

Owns where those go that are no disks, and the look at each file that could
lead to others, or be no image at all.
"""

from collections.abc import Mapping, Sequence

from hawkfish_plugin import exceptions, messages
from hawkfish_plugin.bundles import manifest
from hawkfish_plugin.bundles.manifest import Member
from hawkfish_plugin.drivers.libvirt import (
    filenames,
    image_heads,
    import_xml,
    qcow2,
)
from hawkfish_plugin.drivers.libvirt.hosts import Host

LEFT_OUT = messages.IMPORT_LEFT_OUT

IN_PLACE, TPM = ('nvram', 'varstore'), 'tpm'
"""The state of a firmware by kind; a TPM has no folder before a start."""


def of_role(members: Sequence[Member], role: str) -> list[Member]:
    return [one for one in members if one.role == role]


def other_files(
    folder: str, token: str, members: Sequence[Member], memory: bool
) -> dict[str, str]:
    """Where what is no disk goes, until it is in place, by name."""
    kinds = {
        one.target or '': one.name
        for one in of_role(members, manifest.FIRMWARE)
        if one.target in (*IN_PLACE, TPM)
    }
    copies = filenames.firmware_copies(folder, token, kinds)
    files = {kinds[kind]: path for kind, path in copies.items()}
    if memory:
        for one in of_role(members, manifest.MEMORY):
            files[one.name] = filenames.memory(folder, token)
    return files


def firmware_of(
    files: Mapping[str, str], members: Sequence[Member]
) -> dict[str, str]:
    return {
        one.target or '': files[one.name]
        for one in of_role(members, manifest.FIRMWARE)
        if one.name in files
    }


def lost(files: Mapping[str, str], members: Sequence[Member]) -> list[str]:
    """What of *members* is not taken over, in words."""
    return [
        one.target or 'memory'
        for one in members
        if one.role in (manifest.FIRMWARE, manifest.MEMORY)
        and one.name not in files
    ]


def check_file(host: Host, path: str, member: Member) -> None:
    """See ``importing.Imports.check_file``."""
    if member.role == manifest.MEMORY:
        head(host, path)
    if member.role != manifest.DISK:
        return
    header = host.storage.read(path, qcow2.HEADER_BYTES) or b''
    if member.format != 'qcow2' or not qcow2.stands_alone(
        header, member.capacity or 0
    ):
        raise exceptions.BundleInvalid(
            f'the disk {member.target} is not a whole qcow2 file of its size'
        )


def head(host: Host, path: str) -> image_heads.Head:
    """That of the memory image at *path*; raises BundleInvalid."""
    storage = host.storage
    header = storage.read(path, image_heads.HEADER_BYTES) or b''
    try:
        size = image_heads.length(header)
        rest = storage.read(path, size, image_heads.HEADER_BYTES) or b''
        import_xml.check_plain(rest)
        found = image_heads.parse(header, rest)
    except image_heads.Damaged as exc:
        raise exceptions.BundleInvalid(f'its memory: {exc}') from exc
    import_xml.check(found.definition)
    return found
