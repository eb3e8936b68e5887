# SPDX-License-Identifier: Apache-2.0
"""Bundles as tests take them apart and put them together again."""

import io
import json
import tarfile
from collections.abc import Mapping
from typing import IO, Any, cast

MANIFEST = 'manifest.json'


def unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest, and the content of each other member, in their order."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        files = {
            name: cast('IO[bytes]', tar.extractfile(name)).read()
            for name in tar.getnames()
        }
    return json.loads(files.pop(MANIFEST)), files


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
