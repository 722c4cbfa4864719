"""Tests of the list of suppliers and the page of a supplier."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.asserts import assertNumQueries

from exports.file_requests import FileSpec, accept
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
from headend.portal.suppliers import PAGE_SIZE
from tests.headend.portal.markup import get_page
from tests.suppliers import END, START, create_api_key


def test_the_list_counts_the_file_requests_of_each_supplier(
    operator: Client, alice: Supplier, bob: Supplier
) -> None:
    for _ in range(3):
        accept(alice, FileSpec(START, END))
    failed = accept(alice, FileSpec(START, END))
    FileRequest.objects.filter(pk=failed.pk).update(status=Status.FAILED)
    Supplier.objects.filter(pk=bob.pk).update(active=False)
    page = get_page(operator, "/suppliers/")
    assert '<a href="/requests/?supplier=alice">4</a>' in page
    assert '<td data-label="Active" class="number">3</td>' in page
    assert '<a href="/requests/?supplier=alice&amp;status=failed">1</a>' in page
    assert 'bob</a> <span class="badge">inactive</span>' in page


def test_the_page_shows_only_the_prefix_of_an_api_key(operator: Client, alice: Supplier) -> None:
    key = create_api_key(alice)
    SshKey.objects.create(supplier=alice, public_key="ssh-ed25519 AAAA", fingerprint="SHA256:abc")
    page = get_page(operator, "/suppliers/alice/")
    assert key not in page
    assert f"{key[:8]}" in page
    assert "SHA256:abc" in page
    assert page.count("never used") == 2


def test_the_page_shows_the_push_target_and_the_webhook(operator: Client, alice: Supplier) -> None:
    page = get_page(operator, "/suppliers/alice/")
    assert "No push target." in page
    assert "No webhook." in page
    PushTarget.objects.create(
        supplier=alice, host="files.example", port=22, user="in", folder="/drop", host_key="x"
    )
    Webhook.objects.create(supplier=alice, url="https://example.com/events", active=False)
    page = get_page(operator, "/suppliers/alice/")
    assert "in@files.example:22" in page
    assert "one folder for each file request" in page
    assert "temporary name <code>.&lt;name&gt;.part</code>" in page
    assert "https://example.com/events</code> (inactive)" in page


def test_a_limit_of_the_supplier_replaces_the_default(operator: Client, alice: Supplier) -> None:
    Supplier.objects.filter(pk=alice.pk).update(max_running=9)
    page = get_page(operator, "/suppliers/alice/")
    assert "<dd> 9 </dd>" in page
    assert "<dd> 500 </dd>" in page


def test_the_page_shows_the_usage_by_day(
    operator: Client, completed: FileRequest, alice: Supplier, bob: Supplier
) -> None:
    now = completed.queued_at
    download = FileFetch(request=completed, way=FetchWay.SFTP, who="SHA256:abc", peer="192.0.2.1")
    download.started_at = download.ended_at = now - timedelta(days=1)
    download.bytes_sent = 700
    download.save()
    page = get_page(operator, "/suppliers/alice/")
    assert f"{now:%Y-%m-%d}</td>" in page
    assert "1,800 </td>" in page
    today, yesterday, *before = usage_by_day(alice, now)
    assert today.requested["requests"] == 1
    assert today.requested["bytes"] == completed.size
    assert not today.downloaded
    assert (yesterday.downloaded["files"], yesterday.downloaded["bytes"]) == (1, 700)
    assert len(before) == 12
    assert not any(day.requested or day.downloaded for day in before)
    assert usage_by_day(bob, now) == []
    assert "No file requests and no downloads" in operator.get("/suppliers/bob/").content.decode()


def test_the_number_of_queries_does_not_grow_with_the_suppliers(
    operator: Client, alice: Supplier
) -> None:
    for number in range(20):
        Supplier.objects.create(name=f"supplier-{number}")
    with assertNumQueries(4):
        operator.get("/suppliers/")
    with assertNumQueries(10):
        operator.get("/suppliers/alice/")


def test_the_pages_need_a_login_and_staff(
    client: Client, alice: Supplier, django_user_model: type[User]
) -> None:
    paths = ("/suppliers/", "/suppliers/alice/", "/new-supplier/", "/deliveries/")
    for path in paths:
        assert client.get(path)["Location"].startswith("/login/")
    client.force_login(django_user_model.objects.create_user("stranger"))
    for path in paths:
        assert client.get(path).status_code == 403


@pytest.mark.parametrize("name", ["nobody", "Alice"])
def test_an_unknown_supplier_is_not_found(operator: Client, alice: Supplier, name: str) -> None:
    assert operator.get(f"/suppliers/{name}/").status_code == 404


@pytest.mark.django_db
def test_a_long_list_of_suppliers_has_pages(operator: Client) -> None:
    for number in range(PAGE_SIZE + 1):
        Supplier.objects.create(name=f"supplier-{number:03}")
    last = f"/suppliers/supplier-{PAGE_SIZE:03}/"
    first_page = get_page(operator, "/suppliers/")
    assert last not in first_page
    assert '<a href="?page=2">Next</a>' in first_page
    second_page = get_page(operator, "/suppliers/?page=2")
    assert last in second_page
    assert '<a href="?page=1">Previous</a>' in second_page
