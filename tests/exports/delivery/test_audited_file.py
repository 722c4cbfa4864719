"""Every file that was fetched is a row: who, from where, how, how much of it, when."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import paramiko
import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports.delivery.audited_file import AuditedFile, Fetcher
from exports.delivery.links import download_path, download_url
from exports.models import FetchWay, FileFetch, FileRequest, SshKey
from headend.config.service_urls import exports_storage
from tests.exports.conftest import Connect

PATIENCE_SECONDS = 30


def only_fetch() -> FileFetch:
    """The one row there is; over SFTP it is written when the server has seen the end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not FileFetch.objects.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return FileFetch.objects.get()


def local(request: FileRequest, settings: Settings) -> str:
    return download_url(request).removeprefix(settings.HEADEND_PUBLIC_URL)


def test_a_fetch_by_link_is_noted(
    client: Client, completed: FileRequest, settings: Settings
) -> None:
    before = timezone.now()
    client.get(local(completed, settings)).getvalue()
    fetch = only_fetch()
    assert (fetch.request, fetch.way, fetch.who) == (completed, FetchWay.LINK, "link")
    assert fetch.bytes_sent == completed.size
    assert before <= fetch.started_at <= fetch.ended_at <= timezone.now()


def test_an_operators_fetch_has_their_name(operator: Client, completed: FileRequest) -> None:
    operator.get(download_path(completed)).getvalue()
    fetch = only_fetch()
    assert (fetch.way, fetch.who) == (FetchWay.PORTAL, "admin")


def test_what_a_caller_says_of_its_address_is_not_believed(
    operator: Client, completed: FileRequest
) -> None:
    operator.get(
        download_path(completed), headers={"X-Forwarded-For": "10.9.8.7"}, REMOTE_ADDR="10.0.0.1"
    ).getvalue()
    assert only_fetch().peer == "10.0.0.1"


def test_a_range_counts_its_own_bytes(operator: Client, completed: FileRequest) -> None:
    operator.get(download_path(completed), headers={"Range": "bytes=10-19"}).getvalue()
    assert only_fetch().bytes_sent == 10


# Closing a response closes the database connection, too, and with it a transaction around the test.
@pytest.mark.django_db(transaction=True)
def test_a_download_that_breaks_off_counts_what_was_sent(
    operator: Client, completed: FileRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exports.delivery.http_download._BLOCK_BYTES", 1000)
    response: Any = operator.get(download_path(completed))
    blocks = iter(response)
    for _ in range(3):
        next(blocks)
    response.close()
    # The third block was handed over, and nobody knows whether it arrived.
    assert only_fetch().bytes_sent == 2000


@pytest.mark.parametrize(
    "headers", [{"If-None-Match": "*"}, {"Range": "bytes=999999999-"}, {"Range": "bytes=-0"}]
)
def test_what_sends_no_file_is_no_fetch(
    operator: Client, completed: FileRequest, headers: dict[str, str]
) -> None:
    operator.get(download_path(completed), headers=headers)
    operator.head(download_path(completed))
    assert not FileFetch.objects.exists()


def test_a_fetch_from_the_bucket_itself_is_noted_without_bytes(
    operator: Client, completed: FileRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": exports_storage("s3://bucket/data/sftp?endpoint_url=http://s3.example"),
    }
    assert operator.get(download_path(completed)).status_code == 302
    fetch = only_fetch()
    assert (fetch.way, fetch.who, fetch.bytes_sent) == (FetchWay.PORTAL, "admin", 0)


def test_a_fetch_over_sftp_is_noted_with_the_key(
    connect: Connect,
    completed: FileRequest,
    alices_key: tuple[SshKey, paramiko.PKey],
) -> None:
    with connect() as transport, transport.open_sftp_client() as sftp:
        with sftp.open(completed.location) as file:
            assert len(file.read()) == completed.size
        fetch = only_fetch()
    assert (fetch.request, fetch.way, fetch.peer) == (completed, FetchWay.SFTP, "127.0.0.1")
    assert fetch.who == alices_key[0].fingerprint
    assert fetch.bytes_sent == completed.size


def test_a_connection_that_dies_is_noted_as_far_as_it_came(
    connect: Connect, completed: FileRequest
) -> None:
    with connect() as transport:
        file = transport.open_sftp_client().open(completed.location)
        assert len(file.read(1000)) == 1000
        transport.sock.close()
    assert only_fetch().bytes_sent >= 1000


def test_every_line_of_a_connection_goes_under_one_id(
    connect: Connect, completed: FileRequest, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    for _ in range(2):
        with connect() as transport, transport.open_sftp_client() as sftp:
            sftp.open(completed.location).close()
            only = [line for line in log_lines() if line["message"] == "file fetched"]
            assert only[-1]["request"] == str(completed.pk)
    opened = [line["trace"] for line in log_lines() if line["message"] == "session opened"]
    fetched = [line["trace"] for line in log_lines() if line["message"] == "file fetched"]
    assert opened == fetched
    assert len(set(opened)) == 2
    assert None not in opened


def test_a_database_that_is_down_costs_the_row_and_not_the_file(
    operator: Client,
    completed: FileRequest,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    def refuse(**_: object) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(FileFetch.objects, "create", refuse)
    assert len(operator.get(download_path(completed)).getvalue()) == completed.size
    [line] = [line for line in log_lines() if line["message"] == "file fetched"]
    assert line["bytes_sent"] == completed.size


def test_operators_see_who_fetched_what(operator: Client, completed: FileRequest) -> None:
    AuditedFile(completed, Fetcher(FetchWay.SFTP, "SHA256:abc", "10.0.0.7")).close()
    fetches = "/admin/exports/filefetch/"
    for path in (
        fetches,
        f"{fetches}?q=SHA256",
        f"{fetches}?q={completed.pk}",
        f"{fetches}{only_fetch().pk}/change/",
        f"/admin/exports/filerequest/{completed.pk}/change/",
    ):
        page = operator.get(path).content.decode()
        assert "SHA256:abc" in page, path
        assert "10.0.0.7" in page, path
    assert operator.get(f"{fetches}add/").status_code == 403
    assert operator.post(f"{fetches}{only_fetch().pk}/delete/", {"post": "yes"}).status_code == 403
