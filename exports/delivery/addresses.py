"""The addresses that a webhook may connect to (protection against server-side request forgery).

A supplier chooses its webhook's URL. Without this check the URL could point into the
deployment's own network, for example to a cloud's metadata service.
"""

from __future__ import annotations

import ipaddress
import socket

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressNotAllowedError(Exception):
    """The host has no address, or one that must not be called. The message says why."""


def checked_address(host: str, port: int, *, allow_private: bool) -> str:
    """Resolve ``host`` once and return the IP address to connect to.

    Connect to the returned address, not to the name: a second resolution could return another
    address, which is not checked. Unless ``allow_private``, every address of the host must be public.
    Raises :class:`AddressNotAllowedError`.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
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
    # These IPv6 addresses are translated to an IPv4 address on the way, which could be private.
    translated = isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address.teredo or address in _NAT64
    )
    return address.is_global and not address.is_multicast and not translated
