"""A supplier's own people: they see its requests and its files, and nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from exports.delivery.links import download_path
from exports.file_requests import Order, accept
from exports.models import FileRequest, Supplier, SupplierPerson
from tests.suppliers import END, START


@pytest.fixture
def theirs(bob: Supplier, readings: object, work_off: Callable[[], None]) -> FileRequest:
    """A completed request of Bob's."""
    request = accept(bob, Order(START, END))
    work_off()
    request.refresh_from_db()
    return request


@pytest.fixture
def alices(client: Client, alice: Supplier, django_user_model: type[User]) -> Client:
    """The browser of one of Alice's people."""
    person = django_user_model.objects.create_user("ann")
    SupplierPerson.objects.create(user=person, supplier=alice)
    client.force_login(person)
    return client


def body_of(browser: Client, path: str) -> bytes:
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.getvalue()


def test_they_see_their_own_requests_and_no_others(
    alices: Client, completed: FileRequest, theirs: FileRequest
) -> None:
    for path in ("/requests/", "/requests/?supplier=bob", "/requests/?page=1&status=completed"):
        page = body_of(alices, path).decode()
        assert str(completed.pk) in page
        assert str(theirs.pk) not in page
        assert ">bob<" not in page
    alone = alices.get("/requests/", headers={"HX-Request": "true"}).content.decode()
    assert str(completed.pk) in alone
    assert str(theirs.pk) not in alone
    assert alices.get(f"/requests/{completed.pk}/").status_code == 200
    assert alices.get(f"/requests/{theirs.pk}/").status_code == 404


def test_they_fetch_their_own_files_and_no_others(
    alices: Client, completed: FileRequest, theirs: FileRequest
) -> None:
    assert len(body_of(alices, download_path(completed))) == completed.size
    assert alices.get(download_path(theirs)).status_code == 403
    [fetch] = completed.fetches.all()
    assert (fetch.way, fetch.who) == ("portal", "ann")


def test_nothing_else_is_theirs(alices: Client, completed: FileRequest) -> None:
    assert alices.get("/")["Location"] == "/requests/"
    for path in (
        "/fleet/", "/fleet/meters/", "/suppliers/", "/suppliers/alice/", "/deliveries/",
        "/requests/new/", "/requests/estimate/", "/new-supplier/",
    ):  # fmt: skip
        assert alices.get(path).status_code == 403, path
    for path in (f"/requests/{completed.pk}/again/", f"/requests/{completed.pk}/cancel/"):
        assert alices.post(path).status_code == 403, path
    assert alices.get("/admin/", follow=True).status_code == 403


def test_their_pages_lead_nowhere_else(alices: Client, completed: FileRequest) -> None:
    for path in ("/requests/", f"/requests/{completed.pk}/"):
        page = body_of(alices, path).decode()
        for link in ('href="/suppliers/', 'href="/admin/', 'href="/fleet/', 'href="/deliveries/'):
            assert link not in page, (path, link)


def test_the_people_of_an_inactive_supplier_see_nothing(
    alices: Client, completed: FileRequest
) -> None:
    Supplier.objects.update(active=False)
    assert str(completed.pk) not in body_of(alices, "/requests/").decode()
    assert alices.get(download_path(completed)).status_code == 403


def test_who_belongs_to_nobody_is_told_so(
    client: Client, completed: FileRequest, django_user_model: type[User]
) -> None:
    client.force_login(django_user_model.objects.create_user("nobody"))
    page = body_of(client, "/requests/").decode()
    assert "belongs to no supplier" in page
    assert str(completed.pk) not in page
    assert client.get(download_path(completed)).status_code == 403
