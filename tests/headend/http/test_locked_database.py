"""While another process holds the lock of the database, requests that write are answered 503, and never 500."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.db.backends.utils import CursorWrapper
from django.test import Client

from exports.delivery.links import download_path
from exports.models import ApiKey, FileRequest, Supplier
from tests.suppliers import api_client

HTML = {"Accept": "text/html"}


@contextmanager
def locked_database() -> Iterator[None]:
    """Refuse every statement that writes, as SQLite does after its timeout."""
    execute = CursorWrapper.execute

    def refuse_writes(self: CursorWrapper, sql: Any, params: Any = None) -> Any:
        if str(sql).lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE", "BEGIN IMMEDIATE")):
            raise OperationalError("database is locked")
        return execute(self, sql, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", refuse_writes)
        yield


@pytest.mark.django_db
@pytest.mark.parametrize("password", ["correct horse", "wrong"])
@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_a_login(client: Client, password: str, path: str) -> None:
    User.objects.create_superuser("anna", password="correct horse")
    with locked_database():
        answer = client.post(path, {"username": "anna", "password": password}, headers=HTML)
    # The admin's own page redirects to that of the portal.
    assert answer.status_code == (503 if path == "/login/" else 302)
    assert "Retry-After" in answer or path != "/login/"


def test_a_logout(operator: Client) -> None:
    with locked_database():
        assert operator.post("/logout/", headers=HTML).status_code == 503


@pytest.mark.parametrize(
    "path", ["/", "/requests/", "/fleet/", "/deliveries/", "/suppliers/", "/admin/"]
)
def test_pages_that_only_read(operator: Client, path: str) -> None:
    with locked_database():
        assert operator.get(path, headers=HTML).status_code == 200


@pytest.mark.parametrize("path", ["/admin/exports/supplier/add/", "/admin/auth/user/add/"])
def test_a_form_of_the_admin(operator: Client, path: str) -> None:
    form = {"name": "carol", "active": "on", "username": "carol", "usable_password": "true"}
    passwords = {"password1": "correct horse 7", "password2": "correct horse 7"}
    with locked_database():
        answer = operator.post(path, form | passwords, headers=HTML)
    assert answer.status_code in (200, 503)


def test_a_download_is_sent_although_it_cannot_be_recorded(
    operator: Client, completed: FileRequest
) -> None:
    with locked_database():
        answer = operator.get(download_path(completed))
        assert len(answer.getvalue()) == completed.size


@pytest.mark.parametrize("call", ["read", "write"])
def test_a_call_of_the_api(alice: Supplier, call: str) -> None:
    client = api_client(alice)
    if call == "read":
        # The call records the use of its key.
        ApiKey.objects.update(last_used_at=None)
    body = {"start_date": "2023-02-27 16:00", "end_date": "2023-02-27 17:00"}
    with locked_database():
        answer = (
            client.get("/readings/files") if call == "read" else client.post("/readings/file", body)
        )
    assert answer.status_code == 503
    assert "Retry-After" in answer


def test_a_session_that_is_stored_after_the_view(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django stores a changed session after the view. Before, the error was a 400."""
    monkeypatch.setattr("django.conf.settings.SESSION_SAVE_EVERY_REQUEST", True)
    with locked_database():
        answer = operator.get("/suppliers/", headers=HTML)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
