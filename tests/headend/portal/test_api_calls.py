"""Calls of the API without cookies skip the middleware of pages, and get the same answers as calls with cookies."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from django.contrib.sessions.middleware import SessionMiddleware
from django.test import Client

from exports.models import Supplier
from exports.suppliers.hand_over import create_api_key
from readings.api import ReadingsViewSet
from readings.repositories import ReadingsRepository

WITHOUT_DATE = "/readings?page_size=5"


@pytest.fixture
def client(alice: Supplier) -> Client:
    """Return a client with an API key. It gets the answer 500 for an error, as a caller does."""
    key = create_api_key(alice)
    return Client(raise_request_exception=False, headers={"X-API-Key": key})


def answers(
    client: Client, path: str, method: str = "get", headers: Mapping[str, str] | None = None
) -> list[tuple[int, bytes, dict[str, str]]]:
    """Return the answers to a call without and with a cookie: status, body, and headers without the trace id."""
    found = []
    for cookie in ({}, {"Cookie": "colour=blue"}):
        answer = client.generic(method.upper(), path, headers={**(headers or {}), **cookie})
        shown = {name: value for name, value in answer.items() if name != "X-Request-Id"}
        found.append((answer.status_code, answer.content, shown))
    return found


def raising(error: Exception) -> Callable[..., None]:
    """Return a view that raises this error."""

    def view(*_: object) -> None:
        raise error

    return view


@pytest.mark.parametrize(
    ("status", "path", "method", "headers"),
    [
        (200, "/readings?start_date=2024-05-01", "get", {}),
        (200, "/readings/files", "get", {}),
        (400, WITHOUT_DATE, "get", {}),
        (400, WITHOUT_DATE, "get", {"Host": "localhost:65536"}),
        (400, WITHOUT_DATE, "get", {"Host": "elsewhere.example"}),
        (401, WITHOUT_DATE, "get", {"X-API-Key": "wrong"}),
        (404, "/readings/nothing", "get", {}),
        (405, WITHOUT_DATE, "delete", {}),
    ],
)
def test_calls_with_and_without_cookies_have_the_same_answers(
    client: Client,
    store: ReadingsRepository,
    status: int,
    path: str,
    method: str,
    headers: dict[str, str],
) -> None:
    without, with_cookie = answers(client, path, method, headers)
    assert without == with_cookie
    assert without[0] == status


@pytest.mark.parametrize(
    ("status", "error"), [(503, OSError("disk")), (500, RuntimeError("a bug"))]
)
def test_errors_of_a_view_have_the_same_answers(
    client: Client, monkeypatch: pytest.MonkeyPatch, status: int, error: Exception
) -> None:
    monkeypatch.setattr(ReadingsViewSet, "list", raising(error))
    without, with_cookie = answers(client, WITHOUT_DATE)
    assert without == with_cookie
    assert without[0] == status


def test_a_call_without_cookies_opens_no_session(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionMiddleware, "process_request", raising(AssertionError("a session")))
    answer = client.get(WITHOUT_DATE)
    assert answer.status_code == 400
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Content-Length"] == str(len(answer.content))
