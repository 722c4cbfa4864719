"""No test connects to another machine, or asks a name server. A test that tries to fails."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

_INTERNET = {socket.AF_INET, socket.AF_INET6}
_LOCAL_NAMES = {"localhost", ""}


def is_loopback(address: str) -> bool:
    """Return whether ``address`` is an IP address of this machine only, or a name that needs no name server."""
    if address in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """Let tests connect to loopback addresses only, and resolve no names of other machines.

    Processes that a test starts, and libraries that are not written in Python, are not covered.
    """
    connect, connect_ex, getaddrinfo = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def checked_connect(self: socket.socket, address: Any) -> None:
        _check(self, address)
        connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> int:
        _check(self, address)
        return connect_ex(self, address)

    def resolve(host: Any, *values: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host or ""
        if not (name in _LOCAL_NAMES or _is_numeric(name)):
            _refuse(f"resolves the name {name}")
        return getaddrinfo(host, *values, **options)

    def _is_numeric(name: str) -> bool:
        try:
            getaddrinfo(name, None, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            return False
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect)
        patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
        patch.setattr(socket, "getaddrinfo", resolve)
        yield


def _check(connection: socket.socket, address: Any) -> None:
    if connection.family in _INTERNET and not is_loopback(str(address[0])):
        _refuse(f"connects to {address[0]}")


def _refuse(what: str) -> NoReturn:
    pytest.fail(f"this test {what}; tests connect to loopback addresses only")
