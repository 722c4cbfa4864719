"""Tests of login, logout and password change."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db
HTML = {"Accept": "text/html"}


@pytest.fixture
def alice(django_user_model: type[User]) -> User:
    """An operator."""
    return django_user_model.objects.create_user("alice", password="correct horse", is_staff=True)


def log_in(browser: Client, password: str, *, name: str = "alice", peer: str = "192.0.2.1") -> int:
    """Send the login form from an address, and return the status code: 302 after a successful login."""
    answer = browser.post(
        "/login/?next=/",
        {"username": name, "password": password},
        headers=HTML,
        REMOTE_ADDR=peer,
    )
    return answer.status_code


def test_a_login_leads_to_the_overview(client: Client, alice: User) -> None:
    form = {"username": "alice", "password": "correct horse"}
    assert client.post("/login/?next=/", form)["Location"] == "/"


def test_the_form_uses_the_words_of_the_portal(client: Client) -> None:
    assert ">User name:</label>" in client.get("/login/").content.decode()
    form = {"username": "alice", "password": "wrong"}
    page = client.post("/login/", form).content.decode()
    assert "Please enter a correct user name and password." in page


def test_the_admin_uses_the_login_of_the_portal(
    client: Client, django_user_model: type[User]
) -> None:
    assert client.get("/admin/login/")["Location"] == "/login/?next=/admin/"
    assert client.get("/admin/login/?next=/admin/auth/")["Location"] == "/login/?next=/admin/auth/"
    assert "Log in" in client.get("/login/").content.decode()
    # A user who may not use the admin gets 403, not an endless redirect.
    client.force_login(django_user_model.objects.create_user("stranger"))
    assert client.get("/admin/", follow=True).status_code == 403


def test_a_login_never_redirects_to_another_site(client: Client, alice: User) -> None:
    form = {"username": "alice", "password": "correct horse", "next": "https://elsewhere.example/"}
    assert client.post("/login/", form)["Location"] == "/"


def test_a_logout_leads_to_the_login_page(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/")["Location"] == "/login/?next=/"


def test_users_change_their_own_password(client: Client, alice: User) -> None:
    client.force_login(alice)
    form = {
        "old_password": "correct horse",
        "new_password1": "hunter22!",
        "new_password2": "hunter22!",
    }
    wrong = client.post("/password/", form | {"old_password": "wrong"})
    assert "entered incorrectly" in wrong.content.decode()
    answer = client.post("/password/", form, follow=True)
    assert "Password changed." in answer.content.decode()
    assert log_in(Client(), "hunter22!") == 302
