"""IPv4 and IPv6 addresses and ports: listen on one, compare those of callers, and refuse wrong ones."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv6Address, IPv6Network, ip_address

from django.core.exceptions import BadRequest, ImproperlyConfigured

ANY_IPV6 = "::"
LARGEST_PORT = 65535
_PORT = re.compile(r":0*([0-9]+)\Z")


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a TCP socket that is bound to ``host``, an address or a name; port 0 selects a free port.

    A socket on ``::`` accepts IPv4 too. Raises ``OSError`` if the address cannot be used.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise ImproperlyConfigured(
            f"HEADEND_HOST is {host!r}; it must be an address or a name of this machine."
        ) from None
    bound = socket.socket(family, kind)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == ANY_IPV6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def reachable_host(host: str) -> str:
    """Return an address of this machine at which servers that listen on ``host`` can be reached."""
    loopback = {"0.0.0.0": "127.0.0.1", ANY_IPV6: "::1"}  # noqa: S104 (looked up, not listened on)
    return loopback.get(host, host)


def with_port(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def refuse_impossible_port(host: str) -> None:
    """Raise ``BadRequest`` if the port in a Host header cannot exist. Django must have checked the header before."""
    port = _PORT.search(host)
    if port and int(port[1][:6]) > LARGEST_PORT:
        raise BadRequest(f"The port in the Host header is greater than {LARGEST_PORT}.")


def without_ipv4_mapping(address: str) -> str:
    """Return the IPv4 address of a caller who reached an IPv6 socket by IPv4; other addresses unchanged.

    The system reports such a caller as ``::ffff:192.0.2.1``.
    """
    if not address.lower().startswith("::ffff:"):
        return address
    mapped = IPv6Address(address).ipv4_mapped
    return str(mapped) if mapped else address


def network_of(address: str) -> str:
    """Return the address that counts as one caller: an IPv4 address, or the first address of an IPv6 /64 network.

    An IPv6 host usually has such a network, and could use a different address of it for each call. Text that is not
    an address is returned unchanged.
    """
    try:
        parsed = ip_address(without_ipv4_mapping(address).partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((int(parsed), 64), strict=False).network_address)
    return str(parsed)
