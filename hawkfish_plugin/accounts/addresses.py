# SPDX-License-Identifier: Apache-2.0
"""
Where a request comes from.

Owns whom to believe of the clients of a proxy.
"""

import ipaddress
from collections.abc import Collection
from wsgiref.types import WSGIEnvironment

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# A socket that is a file has no address.
_LOCAL = '127.0.0.1'


def client(environ: WSGIEnvironment, proxies: Collection[Network]) -> str:
    """
    The address of the client of a request; *proxies* tell of theirs.

    A proxy adds the address that it sees to what a client has written, so of
    these the last one counts that is not a proxy's.  What is no address says
    nothing of where it was.
    """
    address = str(environ.get('REMOTE_ADDR') or _LOCAL)
    told = str(environ.get('HTTP_X_FORWARDED_FOR', '')).split(',')
    found = parsed(address)
    while found and told and any(found in network for network in proxies):
        found = parsed(told.pop())
        address = str(found or address)
    return address


def parsed(text: str) -> Address | None:
    """The address that *text* is; one of IPv4 in IPv6 is that of IPv4."""
    try:
        found = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        return found.ipv4_mapped
    return found
