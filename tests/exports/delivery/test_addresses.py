"""A webhook may connect to public addresses only. These tests check the decision and connect to nothing."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from exports.delivery.addresses import AddressNotAllowedError, checked_address


@pytest.fixture(autouse=True)
def no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve only numbers, in all forms that the system reads, so no name server is asked."""
    resolve = socket.getaddrinfo

    def resolve_number(host: str, port: int, **options: Any) -> Any:
        return resolve(host, port, flags=socket.AI_NUMERICHOST, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_number)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1",
        "192.0.0.1", "192.0.0.9", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255",
        "198.51.100.1", "203.0.113.1", "240.0.0.1", "172.31.255.255", "100.127.255.255",
        "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "::808:808", "2002:7f00:1::", "2001:db8::1",
        "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "64:ff9b:1:ffff::808:808",
        "100::1", "100:0:0:1::1", "2001::1", "2001:2::1", "2001:10::1", "2001:1ff::1", "3fff::1",
        "3fff:fff::1", "5f00::1", "fc00::1", "fec0::1", "feff::1", "febf::1", "4000::1", "1fff::1",
        "2130706433", "0x7f000001", "127.1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(AddressNotAllowedError):
        checked_address(address, 80, allow_private=False)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.216.34", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "172.15.0.1",
        "172.32.0.1", "192.0.1.1", "192.88.98.1", "198.17.0.1", "198.20.0.1", "223.255.255.255",
        "2606:2800:220:1:248:1893:25c8:1946", "2001:200::1", "2001:4860:4860::8888", "2003::1", "3ffe::1",
    ],
)  # fmt: skip
def test_a_public_address_is_accepted(address: str) -> None:
    assert checked_address(address, 443, allow_private=False) == address


def test_a_name_with_a_private_address_among_public_ones_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [(0, 0, 0, "", ("93.184.216.34", 80)), (0, 0, 0, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(AddressNotAllowedError, match=r"10\.0\.0\.1"):
        checked_address("both.example", 80, allow_private=False)
