"""``READINGS_URL=clickhouse://…``: its parts, and one sentence for each mistake, without the password."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from headend.config import environment
from readings.repositories.clickhouse.address import ClickHouseAddress


def test_the_url_has_user_password_host_port_and_database() -> None:
    address = ClickHouseAddress.of(
        "clickhouse://me:p%40s%2Fs@db.example:9000/meters?ca_cert=/etc/ca.pem"
    )
    assert address == ClickHouseAddress(
        "db.example", 9000, "meters", "me", "p@s/s", ca_cert="/etc/ca.pem"
    )
    assert "p@s/s" not in repr(address)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("clickhouse://host/database", ClickHouseAddress("host", 8443, "database")),
        (
            "clickhouse://host/database?secure=off",
            ClickHouseAddress("host", 8123, "database", secure=False),
        ),
        ("clickhouse://me@[::1]:1/d?secure=on", ClickHouseAddress("::1", 1, "d", "me")),
    ],
)
def test_port_user_and_security_have_defaults(url: str, expected: ClickHouseAddress) -> None:
    assert ClickHouseAddress.of(url) == expected


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("clickhouse://me:SECR@ET@host/database", "contains the character @; write it as %40"),
        ("clickhouse://me:SECR/ET@host/database", "contains the character /; write it as %2F"),
        ("clickhouse://me:SECR?ET@host/database", "contains the character ?; write it as %3F"),
        ("clickhouse://me:SECR#ET@host/database", "contains the character #; write it as %23"),
        ("clickhouse://me:SECR%ET@host/database", "contains the character %; write it as %25"),
        ("clickhouse://me:SECRET@host:x/database", "the port is not a number from 1 to 65535"),
        ("clickhouse://me:SECRET@host", "'' is not a valid name of a ClickHouse database"),
        ("clickhouse://me:SECRET@host/a/b", "'a/b' is not a valid name of a ClickHouse database"),
        ("clickhouse:///database", "the URL names no host; use clickhouse://user:password@host"),
        ("clickhouse://host/d?compress=1", "compress is not a known option; use secure, ca_cert"),
        (
            "clickhouse://host/d?secure=maybe",
            "secure=maybe is unknown; use secure=on or secure=off",
        ),
        ("clickhouse://host/d?secure=off&ca_cert=/x", "ca_cert has no effect with secure=off"),
    ],
)
def test_a_wrong_url_is_an_error_of_the_settings_with_one_sentence(
    url: str, sentence: str, settings: Settings
) -> None:
    settings.READINGS_URL = url
    [problem] = [each for each in run_checks() if each.id == "readings.E001"]
    assert problem.msg.startswith("READINGS_URL: ")
    assert sentence in problem.msg
    assert "SECR" not in problem.msg


def test_a_wrong_scheme_is_refused_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READINGS_URL", "clickhouses://me:SEC@R/ET@host/database")
    with pytest.raises(
        ImproperlyConfigured, match=r"'clickhouses://\*\*\*@host/database'; it must"
    ):
        environment.url("READINGS_URL", "", ["clickhouse"])
