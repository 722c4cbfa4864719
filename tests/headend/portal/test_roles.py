"""What each role may do, on the pages and in the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from exports.file_requests import Order, accept
from exports.models import FileRequest, Supplier
from tests.suppliers import END, START

pytestmark = pytest.mark.django_db
PAGES = ["/", "/fleet/", "/requests/", "/admin/", "/admin/exports/filerequest/"]


@pytest.fixture
def queued() -> FileRequest:
    """A request of somebody's."""
    return accept(Supplier.objects.create(name="alice"), Order(START, END))


def browser_of(role: str) -> Client:
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.mark.parametrize("role", ["viewer", "operator", "administrator"])
def test_everybody_may_look(role: str, queued: FileRequest) -> None:
    browser = browser_of(role)
    for path in [*PAGES, f"/requests/{queued.pk}/"]:
        assert browser.get(path).status_code == 200, path


@pytest.mark.parametrize(
    ("role", "may"), [("viewer", False), ("operator", True), ("administrator", True)]
)
def test_only_operators_act_on_requests(role: str, may: bool, queued: FileRequest) -> None:
    browser = browser_of(role)
    assert browser.get("/requests/new/").status_code == (200 if may else 403)
    assert browser.post(f"/requests/{queued.pk}/again/").status_code == (302 if may else 403)
    assert browser.post(f"/requests/{queued.pk}/cancel/").status_code == (302 if may else 403)


@pytest.mark.parametrize(
    ("role", "may"), [("viewer", False), ("operator", False), ("administrator", True)]
)
def test_only_administrators_make_suppliers_keys_and_people(role: str, may: bool) -> None:
    browser = browser_of(role)
    for page in (
        "exports/supplier",
        "exports/apikey",
        "exports/sshkey",
        "exports/webhook",
        "auth/user",
    ):
        assert browser.get(f"/admin/{page}/add/").status_code == (200 if may else 403), page


def test_history_is_nobodys_to_change(queued: FileRequest) -> None:
    browser = browser_of("administrator")
    assert browser.get("/admin/exports/filerequest/add/").status_code == 403
    assert browser.get(f"/admin/exports/filerequest/{queued.pk}/delete/").status_code == 403
