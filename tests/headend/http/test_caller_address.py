"""The caller's address and scheme: only trusted proxies can tell them by X-Forwarded-* headers."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from headend.http.caller_address import CallerAddress, known_caller

PROXIES = ["10.0.0.0/8", "fd00::7", "127.0.0.1"]


@pytest.fixture(autouse=True)
def trusted_proxies(settings: Settings) -> None:
    """Trust :data:`PROXIES`."""
    settings.HEADEND_TRUSTED_PROXIES = [ip_network(each) for each in PROXIES]


def seen_by_django(peer: str, **headers: str) -> dict[str, Any]:
    """Return the WSGI environment that Django gets for a connection from ``peer``."""
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: object) -> list[bytes]:
        seen.update(environ)
        return []

    environ = {"REMOTE_ADDR": peer, "REMOTE_PORT": "1024", "wsgi.url_scheme": "http", **headers}
    CallerAddress(application)(environ, lambda *_: lambda _: None)
    return seen


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "caller"),
    [
        # Not from a trusted proxy: ignored.
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("192.0.2.1", "10.0.0.1", "192.0.2.1"),
        ("fd00::8", "198.51.100.7", "fd00::8"),
        ("", "198.51.100.7", ""),
        ("unknown", "198.51.100.7", "unknown"),
        # From a trusted proxy: the last address that is not a trusted proxy.
        ("10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("fd00::7", "198.51.100.7", "198.51.100.7"),
        ("fd00:0::7", "198.51.100.7", "198.51.100.7"),
        ("::ffff:10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "203.0.113.9, 198.51.100.7, 10.9.9.9,127.0.0.1", "198.51.100.7"),
        ("10.1.2.3", "10.9.9.8, 10.9.9.9", "10.9.9.8"),
        ("10.1.2.3", "", "10.1.2.3"),
        # Ports, brackets, IPv6.
        ("10.1.2.3", "198.51.100.7:5678", "198.51.100.7"),
        ("10.1.2.3", "2001:DB8:0::1", "2001:db8::1"),
        ("10.1.2.3", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.1.2.3", '"[2001:db8::1]"', "2001:db8::1"),
        ("10.1.2.3", "::ffff:198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "fe80::1%eth0", "fe80::1"),
        # Garbage, and what a caller wrote to the left of it, is ignored.
        ("10.1.2.3", "unknown", "10.1.2.3"),
        ("10.1.2.3", "198.51.100.7, _hidden", "10.1.2.3"),
        ("10.1.2.3", "198.51.100.7, nonsense, 10.9.9.9", "10.9.9.9"),
        ("10.1.2.3", "nonsense, 198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "198.51.100.7,,", "10.1.2.3"),
        ("10.1.2.3", "1.2.3.4.5, [::1, 999.1.1.1:x:y", "10.1.2.3"),
        ("10.1.2.3", "::ffff:nonsense", "10.1.2.3"),
    ],
)
def test_the_caller_is_the_last_address_that_is_not_a_trusted_proxy(
    peer: str, forwarded_for: str, caller: str
) -> None:
    seen = seen_by_django(peer, HTTP_X_FORWARDED_FOR=forwarded_for)
    assert seen["REMOTE_ADDR"] == caller


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "caller"),
    [
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("::ffff:10.1.2.3", "203.0.113.9, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
        # The proxy does not report its caller.
        ("10.1.2.3", "", None),
        ("10.1.2.3", "nonsense", None),
        ("10.1.2.3", "10.9.9.9", None),
    ],
)
def test_the_caller_of_a_trusted_proxy_is_known_only_if_the_proxy_reports_it(
    peer: str, forwarded_for: str, caller: str | None
) -> None:
    assert known_caller(peer, forwarded_for) == caller


@pytest.mark.parametrize(
    ("peer", "proto", "scheme"),
    [
        ("10.1.2.3", "https", "https"),
        ("10.1.2.3", "HTTPS", "https"),
        ("10.1.2.3", "http", "http"),
        ("10.1.2.3", "", "http"),
        ("10.1.2.3", "https, http", "http"),
        ("10.1.2.3", "http,https", "https"),
        ("192.0.2.1", "https", "http"),
    ],
)
def test_only_a_trusted_proxy_can_say_that_the_caller_uses_https(
    peer: str, proto: str, scheme: str
) -> None:
    assert seen_by_django(peer, HTTP_X_FORWARDED_PROTO=proto)["wsgi.url_scheme"] == scheme


def test_a_server_that_believed_the_header_is_corrected() -> None:
    seen = seen_by_django("192.0.2.1", **{"wsgi.url_scheme": "https"})
    assert seen["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.1.2.3"])
def test_nothing_behind_it_can_read_the_headers(peer: str) -> None:
    headers = {
        "HTTP_X_FORWARDED_FOR": "198.51.100.7",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": "elsewhere.example",
        "HTTP_X_FORWARDED_PORT": "99999",
        "HTTP_FORWARDED": "for=198.51.100.7;proto=https",
        "HTTP_X_REAL_IP": "198.51.100.7",
    }
    assert headers.keys().isdisjoint(seen_by_django(peer, **headers))


def test_the_port_of_a_proxy_is_not_the_port_of_the_caller() -> None:
    assert seen_by_django("192.0.2.1")["REMOTE_PORT"] == "1024"
    assert "REMOTE_PORT" not in seen_by_django("10.1.2.3", HTTP_X_FORWARDED_FOR="198.51.100.7")


def test_a_proxy_that_is_not_trusted_is_reported_once_in_a_minute(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    wrapped = CallerAddress(lambda *_: [])
    for peer in ("192.0.2.1", "192.0.2.1", "10.1.2.3"):
        environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": "198.51.100.7"}
        wrapped(environ, lambda *_: lambda _: None)
    [line] = log_lines()
    assert "HEADEND_TRUSTED_PROXIES" in line["message"]
    assert line["peer"] == "192.0.2.1"


def test_the_access_log_has_the_address_of_the_caller(
    client: Client, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    client.get("/login/", REMOTE_ADDR="198.51.100.7")
    [line] = [line for line in log_lines() if line["message"] == "call"]
    assert line["peer"] == "198.51.100.7"
