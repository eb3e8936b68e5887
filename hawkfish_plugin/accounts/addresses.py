# SPDX-License-Identifier: Apache-2.0
"""
Where a request comes from.

Owns whom to believe of the clients of a proxy.
"""

from collections.abc import Collection
from wsgiref.types import WSGIEnvironment

_LOCAL = '127.0.0.1'


def client(environ: WSGIEnvironment, proxies: Collection[str]) -> str:
    """
    The address of the client of a request; *proxies* tell of theirs.

    A proxy adds the address that it sees to what a client has written.
    """
    # A socket that is a file has no address.
    address = environ.get('REMOTE_ADDR') or _LOCAL
    told = str(environ.get('HTTP_X_FORWARDED_FOR', '')).rpartition(',')[2]
    if address in proxies and told.strip():
        return told.strip()[:100]
    return str(address)
