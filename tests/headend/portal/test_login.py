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
        "/login/?next=/",
        {"username": name, "password": password},
        headers=HTML,
        REMOTE_ADDR=peer,
    )
    return answer.status_code


def test_the_right_password_leads_to_the_overview(client: Client, alice: User) -> None:
    form = {"username": "alice", "password": "correct horse"}
    assert client.post("/login/?next=/", form)["Location"] == "/"


def test_who_guesses_is_locked_out_for_a_while(
    client: Client, alice: User, settings: Settings
) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    assert [attempt(client, "wrong") for _ in range(3)] == [200, 200, 429]
    answer = client.post(
        "/login/", {"username": "alice", "password": "correct horse"}, headers=HTML,
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
    alice: User, settings: Settings
) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    for _ in range(3):
        browser = Client()
        assert attempt(browser, "wrong") == 200
        assert attempt(browser, "wrong") == 200
        assert attempt(browser, "correct horse") == 302


def test_the_admin_has_no_login_of_its_own(client: Client, django_user_model: type[User]) -> None:
    assert client.get("/admin/login/")["Location"] == "/login/?next=/admin/"
    assert client.get("/admin/login/?next=/admin/auth/")["Location"] == "/login/?next=/admin/auth/"
    assert "Log in" in client.get("/login/").content.decode()
    # Whoever may not enter the admin is told so, and not sent in a circle.
    client.force_login(django_user_model.objects.create_user("stranger"))
    assert client.get("/admin/", follow=True).status_code == 403


def test_nobody_is_led_to_another_site(client: Client, alice: User) -> None:
    form = {"username": "alice", "password": "correct horse", "next": "https://elsewhere.example/"}
    assert client.post("/login/", form)["Location"] == "/"


def test_logging_out_ends_at_the_login_page(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/")["Location"] == "/login/?next=/"


def test_a_password_is_changed_by_whose_it_is(client: Client, alice: User) -> None:
    client.force_login(alice)
    form = {
        "old_password": "correct horse",
        "new_password1": "hunter22!",
        "new_password2": "hunter22!",
    }
    wrong = client.post("/password/", form | {"old_password": "wrong"})
    assert "entered incorrectly" in wrong.content.decode()
    assert (
        "Your password is changed." in client.post("/password/", form, follow=True).content.decode()
    )
    assert attempt(Client(), "hunter22!") == 302
