"""Logging in, and guessing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

pytestmark = pytest.mark.django_db
HTML = {"Accept": "text/html"}


@pytest.fixture
def alice(django_user_model: type[User]) -> User:
    """An operator."""
    return django_user_model.objects.create_user("alice", password="correct horse", is_staff=True)


def attempt(browser: Client, password: str, *, name: str = "alice", peer: str = "192.0.2.1") -> int:
    answer = browser.post(
        "/admin/login/?next=/",
        {"username": name, "password": password},
        headers=HTML,
        REMOTE_ADDR=peer,
    )
    return answer.status_code


def test_the_right_password_leads_to_the_overview(client: Client, alice: User) -> None:
    form = {"username": "alice", "password": "correct horse"}
    assert client.post("/admin/login/?next=/", form)["Location"] == "/"


def test_who_guesses_is_locked_out_for_a_while(
    client: Client, alice: User, settings: Settings
) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    assert [attempt(client, "wrong") for _ in range(3)] == [200, 200, 429]
    answer = client.post(
        "/admin/login/", {"username": "alice", "password": "correct horse"}, headers=HTML,
        REMOTE_ADDR="192.0.2.1",
    )  # fmt: skip
    assert (answer.status_code, answer["Retry-After"]) == (429, "600")
    assert "try again in 10 minutes" in answer.content.decode()

    settings.AXES_COOLOFF_TIME = timedelta(0)
    assert attempt(client, "correct horse") == 302


def test_nobody_else_is_locked_out_by_it(
    client: Client, alice: User, django_user_model: type[User], settings: Settings
) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    django_user_model.objects.create_user("bob", password="battery staple", is_staff=True)
    for _ in range(3):
        attempt(client, "wrong")
    assert attempt(client, "correct horse", peer="192.0.2.2") == 302
    assert attempt(Client(), "battery staple", name="bob") == 302


def test_a_password_that_is_right_after_all_starts_the_count_anew(
    client: Client, alice: User, settings: Settings
) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    for _ in range(3):
        assert attempt(client, "wrong") == 200
        assert attempt(client, "wrong") == 200
        assert attempt(client, "correct horse") == 302
