"""Find out whether two host names are the same server."""

from __future__ import annotations

import ipaddress
import socket


def is_same_host(one: str, other: str) -> bool:
    """Return whether two host names or addresses are equal, or have an address in common.

    All loopback addresses count as one. A name that cannot be looked up is only equal to itself.
    """
    if one.lower() == other.lower():
        return True
    return not _addresses(one).isdisjoint(_addresses(other))


def _addresses(host: str) -> set[str]:
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return set()
    return {"loopback" if _is_loopback(address) else address for address in found}


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
