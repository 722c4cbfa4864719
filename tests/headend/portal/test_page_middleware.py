"""Calls of the API skip the middleware for sessions. Their responses do not change."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver

from exports.models import Supplier
from tests.suppliers import create_api_key

PAGE_OF_READINGS = "/readings?start_date=2023-02-27"
FOR_PAGES = ("session", "auser", "_messages")
"""What the middleware for sessions, users and messages sets in a request. The API sets ``user`` too."""


@pytest.mark.parametrize("path", ["/readings", "/readings/", "/readings/file", "/readings/files"])
def test_a_call_of_the_api_opens_no_session(path: str, db: None) -> None:
    request = Client().get(path).wsgi_request
    assert not [name for name in FOR_PAGES if hasattr(request, name)]


@pytest.mark.parametrize("path", ["/", "/login/", "/readingsabc", "/admin/", "/api/docs/"])
def test_a_page_has_session_user_and_messages(path: str, db: None) -> None:
    request = Client().get(path).wsgi_request
    assert all(hasattr(request, name) for name in FOR_PAGES)


@pytest.mark.parametrize("path", [PAGE_OF_READINGS, "/readings/files", "/readings/nothing"])
@pytest.mark.parametrize("has_key", [True, False])
def test_an_answer_with_and_without_a_session_is_the_same(
    path: str, has_key: bool, alice: Supplier, operator: Client
) -> None:
    headers = {"X-API-Key": create_api_key(alice)} if has_key else {}
    with_session = operator.get(path, headers=headers)
    without = Client().get(path, headers=headers)
    assert hasattr(with_session.wsgi_request, "session")
    assert with_session.status_code == without.status_code
    assert with_session.content == without.content
    names = {*with_session.headers} - {"X-Request-Id"}
    assert {name: with_session[name] for name in names} == {name: without[name] for name in names}


def test_every_url_that_needs_no_session_is_one_of_the_api() -> None:
    urls = [each for each in get_resolver().url_patterns if not isinstance(each, URLResolver)]
    of_api = [each for each in urls if str(each.pattern).startswith("readings")]
    assert len(of_api) == 10
    for url in of_api:
        # Neither the middleware against CSRF nor the view reads the session.
        assert getattr(url.callback, "csrf_exempt", False)
