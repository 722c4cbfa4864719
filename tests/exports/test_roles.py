"""The roles after a migration, and what each allows in the portal and the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client

from exports.delivery.links import download_path
from exports.file_requests import FileSpec, accept
from exports.models import FileRequest, Supplier
from exports.roles import ROLES
from tests.suppliers import END, START

pytestmark = pytest.mark.django_db
STAFF_PAGES = [
    "/fleet/", "/fleet/meters/", "/deliveries/", "/suppliers/", "/suppliers/alice/",
    "/requests/new/", "/requests/estimate/", "/new-supplier/",
]  # fmt: skip
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


def test_staff_without_a_role_see_nothing(completed: FileRequest) -> None:
    user = User.objects.create_user("none", is_staff=True)
    browser = Client()
    browser.force_login(user)
    answer = browser.get("/", follow=True)
    assert answer.redirect_chain == [("/requests/", 302)]
    page = answer.content.decode()
    assert "no role that shows file requests" in page
    assert str(completed.pk) not in page
    assert 'value="alice"' not in page
    for link in ('href="/fleet/', 'href="/deliveries/', 'href="/suppliers/', 'href="/"'):
        assert link not in page.replace('class="brand" href="/"', ""), link
    for path in (*STAFF_PAGES, "/admin/exports/filerequest/", "/admin/exports/supplier/"):
        assert browser.get(path).status_code == 403, path
    assert browser.get(f"/requests/{completed.pk}/").status_code == 404
    assert browser.get(download_path(completed)).status_code == 403
    for action in ("again", "cancel"):
        assert browser.post(f"/requests/{completed.pk}/{action}/").status_code == 403


@pytest.mark.parametrize("change", ["role", "staff", "active", "deleted"])
def test_a_session_shows_nothing_after_the_access_of_its_user_is_revoked(
    completed: FileRequest, change: str
) -> None:
    browser = browser_with("viewer")
    pages = [*STAFF_PAGES[:-3], f"/requests/{completed.pk}/", download_path(completed)]
    for path in pages:
        assert browser.get(path).status_code == 200, path
    if change == "role":
        User.objects.get().groups.clear()
    elif change == "deleted":
        User.objects.all().delete()
    else:
        User.objects.update(**{f"is_{change}": False})
    for path in pages:
        assert browser.get(path).status_code in (302, 403, 404), path


def test_a_role_without_the_flag_for_staff_shows_nothing(completed: FileRequest) -> None:
    browser = browser_with("administrator")
    User.objects.update(is_staff=False)
    assert browser.get("/suppliers/").status_code == 403
    assert browser.get(f"/requests/{completed.pk}/").status_code == 404
    assert browser.get(download_path(completed)).status_code == 403


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
