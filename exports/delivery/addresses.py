"""Which addresses may be called for a supplier: none inside, so that nobody is led to look in there."""

from __future__ import annotations

import ipaddress
import socket

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefusedError(Exception):
    """The host has no address that may be called; the message says why."""


def callable_address(host: str, port: int, *, private: bool) -> str:
    """The address to connect to for ``host``; what it is checked for, it has to be used for.

    Every address of the host must be a public one unless ``private`` ones are allowed.
    Raises :class:`AddressRefusedError`.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefusedError(f"{host} has no address: {error}.") from None
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    if not private:
        for address in addresses:
            if not _is_public(address):
                raise AddressRefusedError(
                    f"{host} is {address}, which is no public address; "
                    "WEBHOOK_PRIVATE_ADDRESSES=on allows it."
                )
    return addresses[0]


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    # What is translated to IPv4 on its way could lead anywhere.
    translated = isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address.teredo or address in _NAT64
    )
    return address.is_global and not address.is_multicast and not translated
