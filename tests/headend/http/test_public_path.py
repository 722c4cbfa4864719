"""A public URL with a path: links contain it, and requests may contain it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import clear_script_prefix, set_script_prefix
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from exports.delivery.links import download_url
from exports.file_requests import FileSpec, accept
from exports.models import FileRequest, Supplier
from headend.http.public_path import without_public_path
from tests.suppliers import END, START, api_client, create_api_key


@pytest.fixture
def public_url(settings: Settings) -> Iterator[str]:
    """A public URL with a path."""
    settings.HEADEND_PUBLIC_URL = "http://testserver/meters"
    settings.FORCE_SCRIPT_NAME = "/meters"
    set_script_prefix("/meters")  # as django.setup() does
    yield "http://testserver/meters"
    clear_script_prefix()


@pytest.fixture
def client_of_alice(alice: Supplier) -> APIClient:
    """A client that sends the API key of the supplier alice."""
    return api_client(alice)


def test_the_next_page_of_readings_is_at_the_public_url(
    client_of_alice: APIClient, readings: object, public_url: str
) -> None:
    page = client_of_alice.get("/readings", {"start_date": "2023-02-27"}).json()
    assert page["next"].startswith(f"{public_url}/readings?")


def test_the_next_page_of_file_requests_is_at_the_public_url(
    client_of_alice: APIClient, alice: Supplier, public_url: str
) -> None:
    for _ in range(2):
        accept(alice, FileSpec(START, END))
    page = client_of_alice.get("/readings/files", {"page_size": "1"}).json()
    assert page["next"] == f"{public_url}/readings/files?page=2&page_size=1"


def test_a_download_link_is_at_the_public_url(completed: FileRequest, public_url: str) -> None:
    create_api_key(completed.supplier)
    link = download_url(completed, completed.supplier.api_keys.get())
    assert link.count("/meters/") == 1
    assert link.startswith(f"{public_url}/")
    answer = APIClient().get(
        urlsplit(link).path.removeprefix("/meters") + "?" + urlsplit(link).query
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "inner"),
    [
        ("/readings", "/readings"),
        ("/meters/readings", "/readings"),
        ("/meters", "/"),
        ("/metersreadings", "/metersreadings"),
        ("/meters/meters/readings", "/meters/readings"),
    ],
)
def test_a_request_may_have_the_path_of_the_public_url(
    path: str, inner: str, public_url: str
) -> None:
    assert seen_by_django({"PATH_INFO": path})["PATH_INFO"] == inner


def test_without_a_path_in_the_public_url_no_request_changes() -> None:
    assert seen_by_django({"PATH_INFO": "/meters"})["PATH_INFO"] == "/meters"


def seen_by_django(environ: dict[str, Any]) -> dict[str, Any]:
    """Return the WSGI environment that Django gets for ``environ``."""
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: object) -> list[bytes]:
        seen.update(environ)
        return []

    without_public_path(application)(environ, lambda *_: lambda _: None)
    return seen
