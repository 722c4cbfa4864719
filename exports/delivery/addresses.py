"""The addresses that a webhook may connect to (protection against server-side request forgery).

A supplier chooses its webhook's URL. Without this check the URL could point into the
deployment's own network, for example to a cloud's metadata service.
"""

from __future__ import annotations

import ipaddress

from headend.config.deadline import resolve

RESOLVE_TIMEOUT = 5.0
"""Seconds until the name of the host is resolved."""

_IPV4_NOT_PUBLIC = [
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private use
        "100.64.0.0/10",  # shared by the customers of a provider
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and the metadata services of clouds
        "172.16.0.0/12",  # private use
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays to 6to4, out of use
        "192.168.0.0/16",  # private use
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
]
"""The blocks that IANA does not list as globally reachable.

Python's ``is_global`` depends on the version of Python, and it accepts some of them. Source:
https://www.iana.org/assignments/iana-ipv4-special-registry, read in November 2026.
"""

_IPV6_PUBLIC = ipaddress.IPv6Network("2000::/3")
"""The only block of which addresses are given to hosts on the internet.

It excludes, among others, ``::/96``, NAT64 (``64:ff9b::/96`` and ``64:ff9b:1::/48``), ``5f00::/16``, ``fc00::/7``,
``fe80::/10``, ``fec0::/10`` and multicast. Source: https://www.iana.org/assignments/ipv6-address-space.
"""

_IPV6_NOT_PUBLIC = [
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments, among them Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which contains an IPv4 address that could be private
        "3fff::/20",  # documentation
    )
]
"""The blocks of ``2000::/3`` that are not globally reachable.

Source: https://www.iana.org/assignments/iana-ipv6-special-registry, read in November 2026.
"""


class AddressNotAllowedError(Exception):
    """The host has no address, or one that must not be called. The message says why."""


def checked_address(host: str, port: int, *, allow_private: bool) -> str:
    """Resolve ``host`` once and return the IP address to connect to.

    Connect to the returned address, not to the name: a second resolution could return another
    address, which is not checked. Unless ``allow_private``, every address of the host must be public.
    Raises :class:`AddressNotAllowedError`.
    """
    try:
        found = resolve(host, port, RESOLVE_TIMEOUT)
    except (OSError, UnicodeError) as error:
        raise AddressNotAllowedError(f"{host} cannot be resolved: {error}.") from None
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    if not allow_private:
        for address in addresses:
            if not _is_public(address):
                raise AddressNotAllowedError(
                    f"{host} resolves to {address}, which is not a public address. "
                    "WEBHOOK_PRIVATE_ADDRESSES=on allows it."
                )
    return addresses[0]


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in block for block in _IPV4_NOT_PUBLIC)
    return address in _IPV6_PUBLIC and not any(address in block for block in _IPV6_NOT_PUBLIC)
