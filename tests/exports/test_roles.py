"""The roles after a migration, and what each allows in the portal and the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client

from exports.file_requests import FileSpec, accept
from exports.models import FileRequest, Supplier
from exports.roles import ROLES
from tests.suppliers import END, START

pytestmark = pytest.mark.django_db
PAGES = ["/", "/fleet/", "/requests/", "/admin/", "/admin/exports/filerequest/"]


@pytest.fixture
def queued() -> FileRequest:
    """A queued file request."""
    return accept(Supplier.objects.create(name="alice"), FileSpec(START, END))


def browser_with(role: str) -> Client:
    """Return a browser in which a staff user with this role is logged in."""
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    browser = Client()
    browser.force_login(user)
    return browser


def permissions_of(role: str) -> set[str]:
    """Return the permissions that are stored for a role."""
    stored = Permission.objects.filter(group__name=role).select_related("content_type")
    return {f"{each.content_type.app_label}.{each.codename}" for each in stored}


@pytest.mark.parametrize("role", ROLES)
def test_a_migrated_database_has_the_roles_with_their_permissions(role: str) -> None:
    assert permissions_of(role) == ROLES[role]


def test_a_migration_restores_a_missing_role_and_keeps_what_an_administrator_added() -> None:
    Group.objects.get(name="operator").delete()
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.remove(Permission.objects.get(codename="view_supplier"))
    viewer.permissions.add(Permission.objects.get(codename="change_delivery"))
    call_command("migrate", verbosity=0)
    assert permissions_of("operator") == ROLES["operator"]
    assert permissions_of("viewer") == ROLES["viewer"] | {"exports.change_delivery"}


@pytest.mark.parametrize("role", ROLES)
def test_every_role_can_view_every_page(role: str, queued: FileRequest) -> None:
    browser = browser_with(role)
    for path in [*PAGES, f"/requests/{queued.pk}/"]:
        assert browser.get(path).status_code == 200, path


@pytest.mark.parametrize(
    ("role", "allowed"), [("viewer", False), ("operator", True), ("administrator", True)]
)
def test_only_operators_and_administrators_act_on_file_requests(
    role: str, allowed: bool, queued: FileRequest
) -> None:
    browser = browser_with(role)
    assert browser.get("/requests/new/").status_code == (200 if allowed else 403)
    assert browser.post(f"/requests/{queued.pk}/again/").status_code == (302 if allowed else 403)
    assert browser.post(f"/requests/{queued.pk}/cancel/").status_code == (302 if allowed else 403)


@pytest.mark.parametrize(
    ("role", "allowed"), [("viewer", False), ("operator", False), ("administrator", True)]
)
def test_only_administrators_add_suppliers_keys_and_users(role: str, allowed: bool) -> None:
    browser = browser_with(role)
    for page in (
        "exports/supplier",
        "exports/apikey",
        "exports/sshkey",
        "exports/webhook",
        "auth/user",
    ):
        assert browser.get(f"/admin/{page}/add/").status_code == (200 if allowed else 403), page


def test_no_role_can_change_the_history(queued: FileRequest) -> None:
    browser = browser_with("administrator")
    assert browser.get("/admin/exports/filerequest/add/").status_code == 403
    assert browser.get(f"/admin/exports/filerequest/{queued.pk}/delete/").status_code == 403
