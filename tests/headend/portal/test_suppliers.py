"""The suppliers' pages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertNumQueries

from exports.file_requests import Order, accept
from exports.models import (
    FetchWay,
    FileFetch,
    FileRequest,
    PushTarget,
    SshKey,
    Status,
    Supplier,
    Webhook,
)
from exports.suppliers.usage import usage_by_day
from tests.suppliers import END, START, key_of


def test_the_list_counts_what_each_has_asked_for(
    operator: Client, alice: Supplier, bob: Supplier
) -> None:
    for _ in range(3):
        accept(alice, Order(START, END))
    failed = accept(alice, Order(START, END))
    FileRequest.objects.filter(pk=failed.pk).update(status=Status.FAILED)
    Supplier.objects.filter(pk=bob.pk).update(active=False)
    page = operator.get("/suppliers/").content.decode()
    assert '<a href="/requests/?supplier=alice">4</a>' in page
    assert '<td data-label="Under way" class="number">3</td>' in page
    assert '<a href="/requests/?supplier=alice&amp;status=failed">1</a>' in page
    assert 'bob</a> <span class="badge">inactive</span>' in page


def test_a_suppliers_page_shows_its_keys_and_never_what_they_are(
    operator: Client, alice: Supplier
) -> None:
    key = key_of(alice)
    SshKey.objects.create(supplier=alice, public_key="ssh-ed25519 AAAA", fingerprint="SHA256:abc")
    page = operator.get("/suppliers/alice/").content.decode()
    assert key not in page
    assert f"{key[:8]}" in page
    assert "SHA256:abc" in page
    assert page.count("never used") == 2


def test_a_suppliers_page_shows_where_its_files_are_brought(
    operator: Client, alice: Supplier
) -> None:
    page = operator.get("/suppliers/alice/").content.decode()
    assert "Files are not pushed" in page
    assert "No webhook tells it" in page
    PushTarget.objects.create(
        supplier=alice, host="files.example", port=22, user="in", folder="/drop", host_key="x"
    )
    Webhook.objects.create(supplier=alice, url="https://example.com/told", active=False)
    page = operator.get("/suppliers/alice/").content.decode()
    assert "in@files.example:22" in page
    assert "https://example.com/told</code> (switched off)" in page


def test_its_own_limits_stand_before_the_deployments(operator: Client, alice: Supplier) -> None:
    Supplier.objects.filter(pk=alice.pk).update(most_running=9)
    page = operator.get("/suppliers/alice/").content.decode()
    assert "<dd>9</dd>" in page
    assert "<dd>500</dd>" in page


def test_its_use_is_told_by_day(
    operator: Client, completed: FileRequest, alice: Supplier, bob: Supplier
) -> None:
    now = timezone.now()
    fetch = FileFetch(request=completed, way=FetchWay.SFTP, who="SHA256:abc", peer="192.0.2.1")
    fetch.started_at = fetch.ended_at = now - timedelta(days=1)
    fetch.bytes_sent = 700
    fetch.save()
    page = operator.get("/suppliers/alice/").content.decode()
    assert f"{now:%Y-%m-%d}</td>" in page
    assert "1,800</td>" in page
    today, yesterday, *before = usage_by_day(alice, now)
    assert today.requested["requests"] == 1
    assert today.requested["bytes"] == completed.size
    assert not today.downloaded
    assert (yesterday.downloaded["files"], yesterday.downloaded["bytes"]) == (1, 700)
    assert len(before) == 12
    assert not any(day.requested or day.downloaded for day in before)
    assert usage_by_day(bob, now) == []
    assert "It has asked for nothing" in operator.get("/suppliers/bob/").content.decode()


def test_the_pages_take_few_queries_however_many_there_are(
    operator: Client, alice: Supplier
) -> None:
    for number in range(20):
        Supplier.objects.create(name=f"supplier-{number}")
    with assertNumQueries(3):
        operator.get("/suppliers/")
    with assertNumQueries(10):
        operator.get("/suppliers/alice/")


def test_strangers_are_asked_who_they_are(
    client: Client, alice: Supplier, django_user_model: type[User]
) -> None:
    paths = ("/suppliers/", "/suppliers/alice/", "/new-supplier/", "/deliveries/")
    for path in paths:
        assert client.get(path)["Location"].startswith("/login/")
    client.force_login(django_user_model.objects.create_user("stranger"))
    for path in paths:
        assert client.get(path).status_code == 403


@pytest.mark.parametrize("name", ["nobody", "Alice"])
def test_a_supplier_there_is_not_is_not_found(operator: Client, alice: Supplier, name: str) -> None:
    assert operator.get(f"/suppliers/{name}/").status_code == 404
