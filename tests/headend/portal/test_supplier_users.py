"""Tests of supplier users: they see only the file requests and files of their supplier."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from exports.delivery.links import download_path
from exports.models import FileRequest, Supplier, SupplierPerson
from tests.suppliers import store_completed


@pytest.fixture
def completed_of_bob(bob: Supplier) -> FileRequest:
    """A completed request of another supplier, Bob."""
    return store_completed(bob)


@pytest.fixture
def alice_user(client: Client, alice: Supplier, django_user_model: type[User]) -> Client:
    """The browser of a user who belongs to the supplier Alice."""
    user = django_user_model.objects.create_user("ann")
    SupplierPerson.objects.create(user=user, supplier=alice)
    client.force_login(user)
    return client


def body_of(browser: Client, path: str) -> bytes:
    """Return the body of a page or file that must be found."""
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.getvalue()


def test_a_supplier_user_sees_only_the_requests_of_the_supplier(
    alice_user: Client, completed: FileRequest, completed_of_bob: FileRequest
) -> None:
    for path in ("/requests/", "/requests/?supplier=bob", "/requests/?page=1&status=completed"):
        page = body_of(alice_user, path).decode()
        assert str(completed.pk) in page
        assert str(completed_of_bob.pk) not in page
        assert ">bob<" not in page
    fragment = alice_user.get("/requests/", headers={"HX-Request": "true"}).content.decode()
    assert str(completed.pk) in fragment
    assert str(completed_of_bob.pk) not in fragment
    assert alice_user.get(f"/requests/{completed.pk}/").status_code == 200
    assert alice_user.get(f"/requests/{completed_of_bob.pk}/").status_code == 404


def test_a_supplier_user_downloads_only_files_of_the_supplier(
    alice_user: Client, completed: FileRequest, completed_of_bob: FileRequest
) -> None:
    assert len(body_of(alice_user, download_path(completed))) == completed.size
    assert alice_user.get(download_path(completed_of_bob)).status_code == 403
    [download] = completed.fetches.all()
    assert (download.way, download.who) == ("portal", "ann")


def test_every_other_page_and_action_is_forbidden(
    alice_user: Client, completed: FileRequest
) -> None:
    assert alice_user.get("/")["Location"] == "/requests/"
    for path in (
        "/fleet/", "/fleet/meters/", "/suppliers/", "/suppliers/alice/", "/deliveries/",
        "/requests/new/", "/requests/estimate/", "/new-supplier/",
    ):  # fmt: skip
        assert alice_user.get(path).status_code == 403, path
    for path in (f"/requests/{completed.pk}/again/", f"/requests/{completed.pk}/cancel/"):
        assert alice_user.post(path).status_code == 403, path
    assert alice_user.get("/admin/", follow=True).status_code == 403


def test_the_pages_of_a_supplier_user_have_no_links_to_forbidden_pages(
    alice_user: Client, completed: FileRequest
) -> None:
    for path in ("/requests/", f"/requests/{completed.pk}/"):
        page = body_of(alice_user, path).decode()
        for link in ('href="/suppliers/', 'href="/admin/', 'href="/fleet/', 'href="/deliveries/'):
            assert link not in page, (path, link)


def test_the_users_of_an_inactive_supplier_see_nothing(
    alice_user: Client, completed: FileRequest
) -> None:
    Supplier.objects.update(active=False)
    assert str(completed.pk) not in body_of(alice_user, "/requests/").decode()
    assert alice_user.get(download_path(completed)).status_code == 403


def test_a_user_without_a_supplier_sees_an_explanation(
    client: Client, completed: FileRequest, django_user_model: type[User]
) -> None:
    client.force_login(django_user_model.objects.create_user("nobody"))
    page = body_of(client, "/requests/").decode()
    assert "belongs to no supplier" in page
    assert str(completed.pk) not in page
    assert client.get(download_path(completed)).status_code == 403
