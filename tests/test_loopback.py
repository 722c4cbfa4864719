"""Tests connect to loopback addresses only."""

from __future__ import annotations

import socket

import pytest

from tests.loopback import is_loopback


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::1%lo", "localhost", ""])
def test_a_loopback_address_is_allowed(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.1", "10.0.0.1", "169.254.169.254", "192.0.2.1", "2001:db8::1", "::ffff:8.8.8.8", "example.com"],
)  # fmt: skip
def test_any_other_address_is_refused_before_a_packet_is_sent(address: str) -> None:
    assert not is_loopback(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        for connect in (connection.connect, connection.connect_ex):
            with pytest.raises(pytest.fail.Exception, match="loopback addresses only"):
                connect((address, 9))


def test_the_name_of_another_machine_is_not_resolved() -> None:
    with pytest.raises(pytest.fail.Exception, match="resolves the name"):
        socket.create_connection(("example.com", 9))
