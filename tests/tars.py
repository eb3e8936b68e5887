# SPDX-License-Identifier: Apache-2.0
"""Bundles as tests take them apart and put them together again."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import IO, Any, cast

MANIFEST, CHECKSUMS = 'manifest.json', 'checksums.json'
# As the documentation of the format has it.
PART_BYTES = 64 * 2**20


def unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """
    The manifest, and the content of each other member, in their order.

    Where there is a checksum of the manifest, it has to be right.
    """
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        files = {
            name: cast('IO[bytes]', tar.extractfile(name)).read()
            for name in tar.getnames()
        }
    text = files.pop(MANIFEST)
    if CHECKSUMS in files:
        late = json.loads(files[CHECKSUMS])
        assert late.pop(MANIFEST) == parted(text)
        files[CHECKSUMS] = json.dumps(late).encode()
    return json.loads(text), files


def check(
    members: Iterable[Mapping[str, Any]], files: Mapping[str, bytes]
) -> None:
    """Assert that each of *members* is in *files* as it is said to be."""
    late = json.loads(files.get(CHECKSUMS, b'{}'))
    for member in members:
        data = files[member['Name']]
        assert len(data) == member['Size']
        if 'SHA256' in member:
            assert hashlib.sha256(data).hexdigest() == member['SHA256']
        else:
            assert parted(data) == late.pop(member['Name'])
    assert not late


def parted(data: bytes) -> str:
    """The checksum that follows the files of a bundle."""
    digests = [
        hashlib.sha256(data[begin : begin + PART_BYTES]).digest()
        for begin in range(0, len(data), PART_BYTES)
    ]
    return hashlib.sha256(b''.join(digests)).hexdigest()


def packed(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """The bundle of *manifest*, which comes first, and *files*."""
    made = io.BytesIO()
    content = {MANIFEST: json.dumps(manifest).encode(), **files}
    with tarfile.open(fileobj=made, mode='w') as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()
