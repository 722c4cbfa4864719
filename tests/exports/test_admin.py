"""Django admin: suppliers and keys are made there, the history of requests is looked at."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from exports import credentials
from exports.delivery.links import download_path
from exports.file_requests import Order, accept
from exports.models import ApiKey, FileRequest, SshKey, Status, Supplier
from exports.pipeline import transitions
from exports.suppliers.authentication import find
from tests.suppliers import END, START, key_of

REQUESTS = "/admin/exports/filerequest/"
PUBLIC_KEY = credentials.public_key_of(credentials.new_private_key())


def post(operator: Client, path: str, **data: Any) -> str:
    response = operator.post(path, data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def post_supplier(operator: Client, name: str, *public_keys: str) -> str:
    """Fill in the page that makes a supplier, with SSH keys pasted into it."""
    return post(
        operator,
        "/admin/exports/supplier/add/",
        **{"name": name, "active": "on", "api_keys-TOTAL_FORMS": 0, "api_keys-INITIAL_FORMS": 0},
        **{"ssh_keys-TOTAL_FORMS": len(public_keys), "ssh_keys-INITIAL_FORMS": 0},
        **{"push_target-TOTAL_FORMS": 0, "push_target-INITIAL_FORMS": 0},
        **{"webhook-TOTAL_FORMS": 0, "webhook-INITIAL_FORMS": 0},
        **{f"ssh_keys-{number}-public_key": key for number, key in enumerate(public_keys)},
    )


@pytest.mark.parametrize("model", ["supplier", "apikey", "sshkey", "filerequest"])
def test_every_list_and_every_row_opens(operator: Client, alice: Supplier, model: str) -> None:
    key_of(alice)
    SshKey.objects.create(supplier=alice, public_key=PUBLIC_KEY, fingerprint="SHA256:x")
    accept(alice, Order(START, END))
    rows = {"supplier": Supplier, "apikey": ApiKey, "sshkey": SshKey, "filerequest": FileRequest}
    pk = rows[model]._default_manager.get().pk
    assert operator.get(f"/admin/exports/{model}/").status_code == 200
    assert operator.get(f"/admin/exports/{model}/{pk}/change/").status_code == 200


def test_a_supplier_is_made_with_its_ssh_key(operator: Client) -> None:
    post_supplier(operator, "carol", PUBLIC_KEY + " carol@laptop")
    key = SshKey.objects.get(supplier__name="carol")
    assert key.public_key == PUBLIC_KEY
    assert key.fingerprint == credentials.fingerprint(PUBLIC_KEY)


@pytest.mark.parametrize(
    ("key", "complaint"),
    [("hello", "not a public key"), (PUBLIC_KEY[:60], "not a public key")],
)
def test_what_is_no_public_key_is_refused(
    operator: Client, alice: Supplier, key: str, complaint: str
) -> None:
    page = post(operator, "/admin/exports/sshkey/add/", supplier=alice.pk, public_key=key)
    assert complaint in page
    assert not SshKey.objects.exists()


def test_a_key_the_supplier_has_already_is_refused(operator: Client, alice: Supplier) -> None:
    pasted = {"supplier": alice.pk, "public_key": PUBLIC_KEY}
    post(operator, "/admin/exports/sshkey/add/", **pasted)
    page = post(operator, "/admin/exports/sshkey/add/", **pasted)
    assert "This supplier has this key already." in page
    assert SshKey.objects.count() == 1


def test_a_key_pasted_twice_at_once_is_refused(operator: Client) -> None:
    assert "This key is here twice." in post_supplier(operator, "carol", PUBLIC_KEY, PUBLIC_KEY)
    assert not Supplier.objects.filter(name="carol").exists()


def test_two_suppliers_may_use_the_same_key(
    operator: Client, alice: Supplier, bob: Supplier
) -> None:
    for supplier in (alice, bob):
        post(operator, "/admin/exports/sshkey/add/", supplier=supplier.pk, public_key=PUBLIC_KEY)
    assert SshKey.objects.count() == 2


@pytest.mark.parametrize("name", ["Carol", "carol smith", "../carol", "carol\n", ""])
def test_a_name_that_is_no_user_name_is_refused(operator: Client, name: str) -> None:
    post_supplier(operator, name)
    assert not Supplier.objects.exclude(name="carol").exists()


def test_an_api_key_is_shown_once_and_works(operator: Client, alice: Supplier) -> None:
    page = post(operator, "/admin/exports/apikey/add/", supplier=alice.pk, label="laptop")
    [key] = re.findall(r"<code>(hek_[\w-]+)</code>", page)

    found = find(key)
    assert found is not None
    assert found[0] == alice
    row = ApiKey.objects.get()
    assert key not in (row.digest, row.prefix)
    assert key not in operator.get("/admin/exports/apikey/").content.decode()
    assert key not in operator.get(f"/admin/exports/apikey/{row.pk}/change/").content.decode()


def test_revoking_asks_first_and_ends_a_key(operator: Client, alice: Supplier) -> None:
    key = key_of(alice)
    chosen = {"action": "revoke", "_selected_action": ApiKey.objects.get().pk}
    assert "Revoke these API keys?" in post(operator, "/admin/exports/apikey/", **chosen)
    assert find(key) is not None
    post(operator, "/admin/exports/apikey/", **chosen, confirmed="yes")
    assert find(key) is None


def test_a_key_in_use_is_shown_but_not_edited(operator: Client, alice: Supplier) -> None:
    key_of(alice)
    key = ApiKey.objects.get()
    path = f"/admin/exports/apikey/{key.pk}/change/"
    assert key.prefix in operator.get(path).content.decode()
    assert operator.post(path, {"supplier": alice.pk, "label": "other"}).status_code == 403


def test_a_supplier_with_keys_is_not_deleted_with_them(operator: Client, alice: Supplier) -> None:
    key_of(alice)
    operator.post(f"/admin/exports/supplier/{alice.pk}/delete/", {"post": "yes"})
    assert ApiKey.objects.filter(supplier=alice).exists()


@pytest.mark.parametrize("what", ["apikey", "filerequest"])
def test_history_cannot_be_deleted(operator: Client, alice: Supplier, what: str) -> None:
    key_of(alice)
    request = accept(alice, Order(START, END))
    pk = request.pk if what == "filerequest" else ApiKey.objects.get().pk
    assert operator.post(f"/admin/exports/{what}/{pk}/delete/", {"post": "yes"}).status_code == 403


def test_cancelling_asks_first_and_ends_what_is_not_final(
    operator: Client, alice: Supplier
) -> None:
    request = accept(alice, Order(START, END))
    chosen = {"action": "cancel", "_selected_action": str(request.pk)}
    assert "Cancel these requests?" in post(operator, REQUESTS, **chosen)
    assert "1 cancelled" in post(operator, REQUESTS, **chosen, confirmed="yes")
    request.refresh_from_db()
    assert (request.status, request.reason) == (Status.FAILED, "cancelled")
    assert "0 cancelled" in post(operator, REQUESTS, **chosen, confirmed="yes")


@pytest.mark.usefixtures("readings")
def test_running_again_makes_a_new_request(operator: Client, alice: Supplier) -> None:
    request = accept(alice, Order(START, END))
    post(operator, REQUESTS, action="run_again", _selected_action=str(request.pk))
    assert FileRequest.objects.filter(start=START, end=END).count() == 2


@pytest.mark.usefixtures("readings")
def test_a_request_is_found_by_what_is_known_of_it(
    operator: Client, alice: Supplier, bob: Supplier, work_off: Callable[[], None]
) -> None:
    done = accept(alice, Order(START, END))
    work_off()
    done.refresh_from_db()
    cancelled = accept(bob, Order(START, END))
    transitions.cancel(cancelled.pk)
    FileRequest.objects.filter(pk=cancelled.pk).update(queued_at=START)
    for query, shown, hidden in (
        (f"q={done.pk}", done, cancelled),
        (f"q={done.location}", done, cancelled),
        ("q=cancelled", cancelled, done),
        ("status__exact=completed", done, cancelled),
        (f"supplier__id__exact={bob.pk}", cancelled, done),
        ("queued_at__year=2023", cancelled, done),
    ):
        page = operator.get(f"{REQUESTS}?{query}").content.decode()
        assert f"{REQUESTS}{shown.pk}/" in page, query
        assert f"{REQUESTS}{hidden.pk}/" not in page, query


def test_what_came_of_a_request_stands_on_its_page(
    operator: Client, alice: Supplier, readings: pl.DataFrame, work_off: Callable[[], None]
) -> None:
    request = accept(alice, Order(START, END))
    work_off()
    request.refresh_from_db()
    page = operator.get(f"{REQUESTS}{request.pk}/change/").content.decode()
    for told in (
        "2023-02-27 16:40:00.000000",
        f"{readings.height:,}",
        request.location,
        request.sha256,
        download_path(request),
    ):
        assert told in page


def test_the_list_of_requests_needs_no_more_queries_with_more_rows(
    operator: Client,
    alice: Supplier,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(20):
        accept(alice, Order(START, END))
    FileRequest.objects.update(status=Status.RUNNING, record_count=400)
    with django_assert_max_num_queries(12):
        operator.get(REQUESTS)


def test_nobody_looks_without_logging_in(client: Client, alice: Supplier) -> None:
    for path in (REQUESTS, "/admin/", "/"):
        assert client.get(path).status_code == 302
    client.force_login(User.objects.create_user("somebody"))
    assert client.get("/").status_code == 302
