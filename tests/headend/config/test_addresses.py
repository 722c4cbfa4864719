"""Sockets on IPv4 and IPv6 addresses. Connects to loopback addresses only."""

from __future__ import annotations

import socket
from typing import NoReturn

import pytest
from django.core.exceptions import ImproperlyConfigured

from headend.config.addresses import (
    bound_socket,
    network_of,
    with_port,
    without_ipv4_mapping,
)


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("::1", "::1"),
        ("::", "::1"),
        ("::", "127.0.0.1"),
    ],
)
def test_a_socket_accepts_callers_at_its_address(host: str, client: str) -> None:
    with bound_socket(host, 0) as server:
        server.listen()
        with socket.create_connection((client, server.getsockname()[1]), timeout=30) as connection:
            accepted, (address, *_) = server.accept()
            accepted.close()
            assert without_ipv4_mapping(address) == connection.getsockname()[0]


def test_an_address_that_is_in_use_is_an_error() -> None:
    with bound_socket("::", 0) as server:
        server.listen()
        with pytest.raises(OSError, match="in use"):
            bound_socket("::", server.getsockname()[1])


def test_a_host_that_is_no_address_is_refused_with_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def resolve_nothing(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve_nothing)
    with pytest.raises(ImproperlyConfigured, match="HEADEND_HOST is 'no address'"):
        bound_socket("no address", 0)


def test_an_ipv6_address_gets_brackets_before_a_port() -> None:
    assert with_port("::", 8000) == "[::]:8000"
    assert with_port("127.0.0.1", 8000) == "127.0.0.1:8000"


@pytest.mark.parametrize(
    ("address", "plain"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("192.0.2.1", "192.0.2.1"), ("", "")],
)
def test_a_mapped_address_becomes_ipv4(address: str, plain: str) -> None:
    assert without_ipv4_mapping(address) == plain


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("::ffff:nonsense", "::ffff:nonsense"),
    ],
)
def test_the_addresses_of_one_ipv6_network_count_as_one(address: str, network: str) -> None:
    assert network_of(address) == network
