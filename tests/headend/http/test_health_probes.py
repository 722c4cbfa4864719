"""Health probes by IP address and plain HTTP, and what other requests with an unknown Host get."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from headend.http.health_probes import is_live_probe


@pytest.fixture(autouse=True)
def https(settings: Settings) -> None:
    """Settings of a deployment behind a proxy that terminates TLS."""
    settings.ALLOWED_HOSTS = ["meters.example"]
    settings.SECURE_SSL_REDIRECT = True


@pytest.mark.parametrize("host", ["10.0.3.7:8000", "[fd00::7]:8000", "meters.example", "bad host"])
def test_a_probe_is_answered_at_every_address(host: str) -> None:
    answer = Client().get("/health/live", headers={"Host": host})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("path", "public_path", "is_probe"),
    [
        ("/health/live", None, True),
        ("/meters/health/live", None, False),
        ("/health/live/", None, False),
        ("/health/live", "/meters", True),
        ("/meters/health/live", "/meters", True),
        ("/meters/meters/health/live", "/meters", False),
        ("/anything/health/live", "/meters", False),
    ],
)
def test_a_probe_has_the_path_of_the_public_url_or_none(
    path: str, public_path: str | None, is_probe: bool, settings: Settings
) -> None:
    settings.FORCE_SCRIPT_NAME = public_path
    assert is_live_probe(path) == is_probe


def test_other_requests_are_redirected_to_https() -> None:
    answer = Client().get("/readings", headers={"Host": "meters.example"})
    assert (answer.status_code, answer["Location"]) == (301, "https://meters.example/readings")


@pytest.mark.parametrize("path", ["/readings", "/", "/health/other"])
def test_a_refused_host_names_the_setting(path: str) -> None:
    headers = {"Host": "10.0.3.7:8000", "Accept": "text/html"}
    answer = Client().get(path, headers=headers, secure=True)
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "The host '10.0.3.7:8000' is not allowed. The operator can add it to HEADEND_ALLOWED_HOSTS."
    }


def test_a_refused_origin_names_the_setting(settings: Settings) -> None:
    settings.HEADEND_PUBLIC_URL = "https://meters.example"
    headers = {"Host": "meters.example", "Origin": "https://elsewhere.example"}
    browser = Client(enforce_csrf_checks=True)
    answer = browser.post("/login/", {}, headers=headers, secure=True)
    assert answer.status_code == 403
    assert "HEADEND_PUBLIC_URL, https://meters.example." in answer.json()["error"]
