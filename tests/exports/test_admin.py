"""The admin creates suppliers and keys, and shows file requests."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from exports import credentials
from exports.delivery import push_keys, webhook
from exports.delivery.links import download_path
from exports.file_requests import FileSpec, accept
from exports.models import (
    ApiKey,
    FileRequest,
    PushTarget,
    SshKey,
    Status,
    Supplier,
    Webhook,
)
from exports.pipeline import transitions
from exports.suppliers.authentication import find_supplier
from headend.config.command_lock import ROTATE, one_at_a_time
from tests.suppliers import END, PUBLIC_KEY, START, create_api_key

REQUESTS = "/admin/exports/filerequest/"


def post(operator: Client, path: str, **data: Any) -> str:
    response = operator.post(path, data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def post_supplier(operator: Client, name: str, *public_keys: str) -> str:
    """Submit the page that adds a supplier with these SSH keys."""
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
def test_every_list_and_every_row_has_a_page(operator: Client, alice: Supplier, model: str) -> None:
    create_api_key(alice)
    SshKey.objects.create(supplier=alice, public_key=PUBLIC_KEY, fingerprint="SHA256:x")
    accept(alice, FileSpec(START, END))
    rows = {"supplier": Supplier, "apikey": ApiKey, "sshkey": SshKey, "filerequest": FileRequest}
    pk = rows[model]._default_manager.get().pk
    assert operator.get(f"/admin/exports/{model}/").status_code == 200
    assert operator.get(f"/admin/exports/{model}/{pk}/change/").status_code == 200


def test_a_supplier_is_added_with_its_ssh_key(operator: Client) -> None:
    post_supplier(operator, "carol", PUBLIC_KEY + " carol@laptop")
    key = SshKey.objects.get(supplier__name="carol")
    assert key.public_key == PUBLIC_KEY
    assert key.fingerprint == credentials.fingerprint(PUBLIC_KEY)


@pytest.mark.parametrize(
    "key",
    ["hello", PUBLIC_KEY[:60]],
    # The key is random, so it cannot be in the name of the test: parallel runs compare the names.
    ids=["a word", "the start of a key"],
)
def test_text_that_is_not_a_public_key_is_refused(
    operator: Client, alice: Supplier, key: str
) -> None:
    page = post(operator, "/admin/exports/sshkey/add/", supplier=alice.pk, public_key=key)
    assert "not a public key" in page
    assert not SshKey.objects.exists()


def test_a_key_that_the_supplier_already_has_is_refused(operator: Client, alice: Supplier) -> None:
    form = {"supplier": alice.pk, "public_key": PUBLIC_KEY}
    post(operator, "/admin/exports/sshkey/add/", **form)
    page = post(operator, "/admin/exports/sshkey/add/", **form)
    assert "This supplier already has this key." in page
    assert SshKey.objects.count() == 1


def test_a_key_that_is_entered_twice_is_refused(operator: Client) -> None:
    assert "This key is entered twice." in post_supplier(operator, "carol", PUBLIC_KEY, PUBLIC_KEY)
    assert not Supplier.objects.filter(name="carol").exists()


def test_two_suppliers_may_use_the_same_key(
    operator: Client, alice: Supplier, bob: Supplier
) -> None:
    for supplier in (alice, bob):
        post(operator, "/admin/exports/sshkey/add/", supplier=supplier.pk, public_key=PUBLIC_KEY)
    assert SshKey.objects.count() == 2


@pytest.mark.parametrize("name", ["Carol", "carol smith", "../carol", "carol\n", ""])
def test_a_name_that_is_not_a_valid_user_name_is_refused(operator: Client, name: str) -> None:
    post_supplier(operator, name)
    assert not Supplier.objects.exclude(name="carol").exists()


def test_an_api_key_is_shown_once_and_works(operator: Client, alice: Supplier) -> None:
    page = post(operator, "/admin/exports/apikey/add/", supplier=alice.pk, label="laptop")
    [key] = re.findall(r"<code>(hek_[\w-]+)</code>", page)

    found = find_supplier(key)
    assert found is not None
    assert found[0] == alice
    row = ApiKey.objects.get()
    assert key not in (row.digest, row.prefix)
    assert key not in operator.get("/admin/exports/apikey/").content.decode()
    assert key not in operator.get(f"/admin/exports/apikey/{row.pk}/change/").content.decode()


def test_revoking_a_key_needs_confirmation(operator: Client, alice: Supplier) -> None:
    key = create_api_key(alice)
    chosen = {"action": "revoke", "_selected_action": ApiKey.objects.get().pk}
    assert "Revoke these API keys?" in post(operator, "/admin/exports/apikey/", **chosen)
    assert find_supplier(key) is not None
    post(operator, "/admin/exports/apikey/", **chosen, confirmed="yes")
    assert find_supplier(key) is None


@pytest.mark.usefixtures("own_secrets")
@pytest.mark.parametrize("model", ["webhook", "pushtarget"])
def test_rotating_a_secret_needs_confirmation_and_is_in_the_history(
    operator: Client, alice: Supplier, model: str, settings: Settings
) -> None:
    row: Webhook | PushTarget
    if model == "webhook":
        row = Webhook.objects.create(supplier=alice, url="https://example.com/")
        action, shown = "rotate_secret", webhook.signing_secret
    else:
        row = PushTarget.objects.create(supplier=alice, host="h", user="u", host_key=PUBLIC_KEY)
        action, shown = "rotate_key", push_keys.public_key
    path, old = f"/admin/exports/{model}/", shown(alice)
    chosen = {"action": action, "_selected_action": row.pk}
    assert "for 7 days" in post(operator, path, **chosen)
    with one_at_a_time(ROTATE, settings.HEADEND_HOME, connection):
        page = post(operator, path, **chosen, confirmed="yes")
    assert "another rotation is running" in page
    assert shown(alice) == old
    page = post(operator, path, **chosen, confirmed="yes")
    assert shown(alice) != old
    assert escape(shown(alice)) in page
    assert "Rotated the secret." in operator.get(f"{path}{row.pk}/history/").content.decode()
    page = post(operator, path, **chosen, confirmed="yes")
    assert "its old value is valid until" in page
    assert "0 rotated." in page


def test_a_stored_key_is_shown_but_cannot_be_edited(operator: Client, alice: Supplier) -> None:
    create_api_key(alice)
    key = ApiKey.objects.get()
    path = f"/admin/exports/apikey/{key.pk}/change/"
    assert key.prefix in operator.get(path).content.decode()
    assert operator.post(path, {"supplier": alice.pk, "label": "other"}).status_code == 403


def test_a_supplier_with_keys_cannot_be_deleted(operator: Client, alice: Supplier) -> None:
    create_api_key(alice)
    operator.post(f"/admin/exports/supplier/{alice.pk}/delete/", {"post": "yes"})
    assert ApiKey.objects.filter(supplier=alice).exists()


@pytest.mark.parametrize("model", ["apikey", "filerequest"])
def test_api_keys_and_file_requests_cannot_be_deleted(
    operator: Client, alice: Supplier, model: str
) -> None:
    create_api_key(alice)
    request = accept(alice, FileSpec(START, END))
    pk = request.pk if model == "filerequest" else ApiKey.objects.get().pk
    assert operator.post(f"/admin/exports/{model}/{pk}/delete/", {"post": "yes"}).status_code == 403


def test_cancelling_needs_confirmation_and_skips_final_requests(
    operator: Client, alice: Supplier
) -> None:
    request = accept(alice, FileSpec(START, END))
    chosen = {"action": "cancel", "_selected_action": str(request.pk)}
    assert "Cancel these file requests?" in post(operator, REQUESTS, **chosen)
    assert "1 cancelled" in post(operator, REQUESTS, **chosen, confirmed="yes")
    request.refresh_from_db()
    assert (request.status, request.reason) == (Status.FAILED, "cancelled")
    assert "0 cancelled" in post(operator, REQUESTS, **chosen, confirmed="yes")


@pytest.mark.usefixtures("readings")
def test_request_again_queues_a_new_file_request(operator: Client, alice: Supplier) -> None:
    request = accept(alice, FileSpec(START, END))
    post(operator, REQUESTS, action="request_again", _selected_action=str(request.pk))
    assert FileRequest.objects.filter(start=START, end=END).count() == 2


@pytest.mark.usefixtures("readings")
def test_a_file_request_is_found_by_its_values(
    operator: Client, alice: Supplier, bob: Supplier, run_steps: Callable[[], None]
) -> None:
    done = accept(alice, FileSpec(START, END))
    run_steps()
    done.refresh_from_db()
    cancelled = accept(bob, FileSpec(START, END))
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


def test_the_page_of_a_completed_request_shows_its_file(
    operator: Client, alice: Supplier, readings: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    request = accept(alice, FileSpec(START, END))
    run_steps()
    request.refresh_from_db()
    page = operator.get(f"{REQUESTS}{request.pk}/change/").content.decode()
    for value in (
        "2023-02-27 16:40:00.000000",
        f"{readings.height:,}",
        request.location,
        request.sha256,
        download_path(request),
    ):
        assert value in page


def test_the_list_takes_the_same_number_of_queries_for_more_rows(
    operator: Client,
    alice: Supplier,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(20):
        accept(alice, FileSpec(START, END))
    FileRequest.objects.update(status=Status.RUNNING, record_count=400)
    with django_assert_max_num_queries(12):
        operator.get(REQUESTS)


def test_a_page_needs_a_login(client: Client, alice: Supplier) -> None:
    for path in (REQUESTS, "/admin/", "/"):
        assert client.get(path).status_code == 302
    client.force_login(User.objects.create_user("somebody"))
    assert client.get("/").status_code == 302
