"""Every download is recorded: who, from which address, how, how many bytes, when."""

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
from exports.delivery.links import download_path
from exports.models import FetchWay, FileFetch, FileRequest, SshKey
from tests.exports.conftest import Connect
from tests.exports.delivery.conftest import signed_path

TIMEOUT = 30


def only_fetch() -> FileFetch:
    """Return the only row. Wait for it: an SFTP server writes it after the client has closed the file."""
    deadline = time.monotonic() + TIMEOUT
    while not FileFetch.objects.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return FileFetch.objects.get()


def test_a_download_by_signed_link_is_recorded(
    client: Client, completed: FileRequest, settings: Settings
) -> None:
    before = timezone.now()
    client.get(signed_path(completed, settings)).getvalue()
    fetch = only_fetch()
    assert (fetch.request, fetch.way, fetch.who) == (completed, FetchWay.LINK, "link")
    assert fetch.bytes_sent == completed.size
    assert before <= fetch.started_at <= fetch.ended_at <= timezone.now()


def test_a_download_in_the_portal_is_recorded_with_the_users_name(
    operator: Client, completed: FileRequest
) -> None:
    operator.get(download_path(completed)).getvalue()
    fetch = only_fetch()
    assert (fetch.way, fetch.who) == (FetchWay.PORTAL, "admin")


def test_the_forwarded_address_is_ignored(operator: Client, completed: FileRequest) -> None:
    operator.get(
        download_path(completed), headers={"X-Forwarded-For": "10.9.8.7"}, REMOTE_ADDR="10.0.0.1"
    ).getvalue()
    assert only_fetch().peer == "10.0.0.1"


def test_a_partial_download_counts_the_bytes_of_its_range(
    operator: Client, completed: FileRequest
) -> None:
    operator.get(download_path(completed), headers={"Range": "bytes=10-19"}).getvalue()
    assert only_fetch().bytes_sent == 10


# Closing the response closes the database connection, and that would end a transaction around the test.
@pytest.mark.django_db(transaction=True)
def test_an_interrupted_download_counts_the_bytes_sent(
    operator: Client, completed: FileRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exports.delivery.http_download._BLOCK_BYTES", 1000)
    response: Any = operator.get(download_path(completed))
    blocks = iter(response)
    for _ in range(3):
        next(blocks)
    response.close()
    # The third block was passed to the server, but it is unknown whether it was sent.
    assert only_fetch().bytes_sent == 2000


@pytest.mark.parametrize(
    "headers", [{"If-None-Match": "*"}, {"Range": "bytes=999999999-"}, {"Range": "bytes=-0"}]
)
def test_an_answer_without_file_content_is_not_recorded(
    operator: Client, completed: FileRequest, headers: dict[str, str]
) -> None:
    operator.get(download_path(completed), headers=headers)
    operator.head(download_path(completed))
    assert not FileFetch.objects.exists()


def test_a_download_from_the_bucket_is_recorded_with_zero_bytes(
    operator: Client, completed: FileRequest, bucket_url: str
) -> None:
    assert operator.get(download_path(completed)).status_code == 302
    fetch = only_fetch()
    assert (fetch.way, fetch.who, fetch.bytes_sent) == (FetchWay.PORTAL, "admin", 0)


def test_a_download_over_sftp_is_recorded_with_the_key(
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


def test_a_broken_connection_is_recorded_with_the_bytes_sent(
    connect: Connect, completed: FileRequest
) -> None:
    with connect() as transport:
        file = transport.open_sftp_client().open(completed.location)
        assert len(file.read(1000)) == 1000
        transport.sock.close()
    assert only_fetch().bytes_sent >= 1000


def test_all_log_lines_of_a_connection_have_the_same_trace_id(
    connect: Connect, completed: FileRequest, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    for _ in range(2):
        with connect() as transport, transport.open_sftp_client() as sftp:
            sftp.open(completed.location).close()
            downloads = [line for line in log_lines() if line["message"] == "file fetched"]
            assert downloads[-1]["request"] == str(completed.pk)
    opened = [line["trace"] for line in log_lines() if line["message"] == "session opened"]
    fetched = [line["trace"] for line in log_lines() if line["message"] == "file fetched"]
    assert opened == fetched
    assert len(set(opened)) == 2
    assert None not in opened


def test_a_download_succeeds_and_is_logged_if_the_database_fails(
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


def test_operators_see_downloads_in_the_admin(operator: Client, completed: FileRequest) -> None:
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
