# SPDX-License-Identifier: Apache-2.0
"""
The names of files that snapshots have.

Owns the scheme by which this driver names its files and its transient pools,
the one by which libvirt names the overlays of a revert, and every pattern
that recognises one of these names.  Nothing is looked for here.
"""

import hashlib
import posixpath
import re
import secrets
import uuid
from collections.abc import Iterable, Iterator

_PREFIX = 'hawkfish-'
_TOKEN = r'hawkfish-[0-9a-f]{12}'  # noqa: S105
_OVERLAY_ENDING = '.qcow2'
_OWN_FOLDER = 'hawkfish-files'

# The overlay of a disk, or libvirt's over it by a revert; the memory, the
# state of a firmware; the folder of an export, or of a clone.
_OURS = re.compile(
    _TOKEN
    + r'(-\w+\.(qcow2|\d{10})|\.mem|\.(nvram|varstore|tpm)\.gz'
    + r'|\.export|\.verify)'
)
# "hawkfi", and a version of UUIDs that is anybody's to define.
_MERGER = '6861776b6669'
# "hawkfv", likewise; the token of its files is at the end.
_CLONE = '6861776b6676-8000-8000'.replace('-', '')
_TRANSIENT_POOL = re.compile(_PREFIX + '([0-9a-f]{32}|[0-9a-f]{12}-source)')
_EXPORT_ENDING = '.export'
_MANIFEST = re.compile(r'hawkfish-backup-([0-9a-f]{12})\.json')
_BACKUP = re.compile(
    r'hawkfish-backup-[0-9a-f]{12}'
    r'(-\w+\.qcow2|\.(nvram|varstore|tpm)\.gz|\.xml|\.json)'
)
_CLONE_ENDING = '.verify'


def new_token() -> str:
    """A token that makes the file names of one operation unique."""
    return secrets.token_hex(6)


def token_of(system: str | None, name: str | None, created: str | None) -> str:
    """
    The token of a snapshot that exists, of what never changes of it.

    That is the UUID of its system, its time as libvirt has it, and its name,
    which nobody but ``virsh snapshot-edit`` changes.
    """
    identity = repr([system, name, created])
    return hashlib.sha256(identity.encode()).hexdigest()[:12]


def overlay(
    base: str, token: str, target: str, folder: str | None = None
) -> str:
    """The overlay of the disk *target*, in *folder* or beside its *base*."""
    return posixpath.join(
        folder or posixpath.dirname(base),
        f'{_PREFIX}{token}-{target}{_OVERLAY_ENDING}',
    )


def memory(folder: str, token: str) -> str:
    return posixpath.join(folder, f'{_PREFIX}{token}.mem')


def firmware_copies(
    folder: str, token: str, kinds: Iterable[str]
) -> dict[str, str]:
    """The copies of a firmware's state, by their kind."""
    return {
        kind: posixpath.join(folder, f'{_PREFIX}{token}.{kind}.gz')
        for kind in kinds
    }


def export_folder(folder: str, token: str) -> str:
    """The folder of the files of one export, in *folder*."""
    return posixpath.join(folder, f'{_PREFIX}{token}{_EXPORT_ENDING}')


def backup(token: str) -> str:
    """What the names of all files of a backup begin with."""
    return f'{_PREFIX}backup-{token}'


def manifest(token: str) -> str:
    """The manifest of a backup."""
    return f'{backup(token)}.json'


def token_of_manifest(path: str) -> str | None:
    """The token of the backup whose manifest it is; None of another file."""
    found = _MANIFEST.fullmatch(posixpath.basename(path))
    return found and found[1]


def is_of_backup(path: str) -> bool:
    """Whether a file has a name that only backups of this driver have."""
    return bool(_BACKUP.fullmatch(posixpath.basename(path)))


def checkpoint(token: str) -> str:
    """The checkpoint, and its bitmaps, of a backup."""
    return f'{_PREFIX}{token}'


def is_checkpoint(name: str) -> bool:
    """Whether a checkpoint has a name that only this driver gives."""
    return bool(re.fullmatch(_TOKEN, name))


def clone_folder(folder: str, token: str) -> str:
    """The folder of the files of one clone, in *folder*."""
    return posixpath.join(folder, f'{_PREFIX}{token}{_CLONE_ENDING}')


def token_of_folder(folder: str) -> str:
    """The token in the name of a folder of ours."""
    name = posixpath.splitext(posixpath.basename(folder))[0]
    return name.removeprefix(_PREFIX)


def source_pool(folder: str) -> str:
    """The pool through which what fills *folder* looks at a disk."""
    return f'{_PREFIX}{token_of_folder(folder)}-source'


def transient_pool(identity: uuid.UUID) -> str:
    return _PREFIX + identity.hex


def own_folder(folder: str) -> str:
    """Where files of ours go that cannot be made in *folder* itself."""
    return posixpath.join(folder, _OWN_FOLDER)


def is_own_folder(folder: str) -> bool:
    return posixpath.basename(folder) == _OWN_FOLDER


def is_transient_pool(name: str) -> bool:
    """Whether a pool has a name that only this driver gives."""
    return bool(_TRANSIENT_POOL.fullmatch(name))


def overlays(paths: Iterable[str]) -> list[str]:
    """Those of *paths*, the files of a create, that are overlays."""
    return [path for path in paths if path.endswith(_OVERLAY_ENDING)]


def is_ours(path: str) -> bool:
    """Whether a file has a name that only snapshots of this driver give."""
    return bool(_OURS.fullmatch(posixpath.basename(path)))


def ours_in(text: str) -> Iterator[str]:
    """Every such name that a text mentions."""
    return (match[0] for match in _OURS.finditer(text))


def merger_uuid(system: str) -> str:
    """The UUID of the domain that merges the files of *system*."""
    digest = hashlib.sha256(system.encode()).hexdigest()
    return str(uuid.UUID(f'{_MERGER}8{digest[:3]}8{digest[3:18]}'))


def is_merger(domain: str) -> bool:
    """Whether a domain with this UUID is one that merges files."""
    return domain.replace('-', '').startswith(_MERGER + '8')


def clone_uuid(token: str) -> str:
    """The UUID of the clone whose files have *token*."""
    return str(uuid.UUID(_CLONE + token))


def clone_name(token: str) -> str:
    return f'{_PREFIX}verify-{token}'


def is_clone(domain: str) -> bool:
    """Whether a domain with this UUID is a clone that is thrown away."""
    return domain.replace('-', '').startswith(_CLONE)


def is_own_domain(domain: str) -> bool:
    """Whether a domain with this UUID is no system of anybody."""
    return is_merger(domain) or is_clone(domain)


def is_revert_overlay_of(base: str, path: str) -> bool:
    """
    Whether the file at *path* is named as one of libvirt's revert over *base*.

    libvirt puts it beside the base, with the second of the clock in the place
    of the ending of its name.
    """
    folder, name = posixpath.split(base)
    pattern = re.escape(posixpath.splitext(name)[0]) + r'\.\d{10}'
    return posixpath.dirname(path) == folder and bool(
        re.fullmatch(pattern, posixpath.basename(path))
    )
