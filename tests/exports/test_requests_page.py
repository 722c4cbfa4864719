"""The operators' page of file requests, and the downloads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from exports.delivery.links import download_path, download_url
from exports.models import FileRequest, Status, Supplier
from exports.requests import Order, accept
from tests.exports.conftest import END, START, path_of


@pytest.fixture
def completed(alice: Supplier, readings: object, work_off: Callable[[], None]) -> FileRequest:
    """A completed request of Alice's."""
    request = accept(alice, Order(START, END))
    work_off()
    request.refresh_from_db()
    assert request.status == Status.COMPLETED
    return request


def local(url: str, settings: Settings) -> str:
    return url.removeprefix(settings.HEADEND_PUBLIC_URL)


def body(client: Client, path: str) -> bytes:
    response = client.get(path)
    assert response.status_code == 200
    return response.getvalue()


def test_the_page_lists_requests_with_status_and_download(
    operator: Client,
    completed: FileRequest,
    alice: Supplier,
) -> None:
    accept(alice, Order(START, END))
    page = operator.get("/").content.decode()
    assert download_path(completed) in page
    assert page.count('class="badge completed"') == 1
    assert page.count('class="badge queued"') == 1


def test_htmx_gets_the_table_alone(operator: Client, completed: FileRequest) -> None:
    page = operator.get("/", headers={"HX-Request": "true"}).content.decode()
    assert "<table>" in page
    assert "<html" not in page


def test_an_empty_page_says_what_to_do_next(operator: Client) -> None:
    assert "/readings/file" in operator.get("/").content.decode()


def test_the_page_needs_no_more_queries_with_more_rows(
    operator: Client,
    completed: FileRequest,
    alice: Supplier,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(20):
        accept(alice, Order(START, END))
    with django_assert_max_num_queries(5):
        operator.get("/")


def test_whoever_holds_the_link_may_fetch_the_file(
    client: Client, completed: FileRequest, settings: Settings
) -> None:
    response = client.get(local(download_url(completed), settings))
    assert response.getvalue() == path_of(completed.location).read_bytes()
    assert response["Content-Length"] == str(completed.size)
    assert completed.location.partition("/")[2] in response["Content-Disposition"]


def test_an_operator_needs_no_signature(operator: Client, completed: FileRequest) -> None:
    assert body(operator, download_path(completed)) == path_of(completed.location).read_bytes()


@pytest.mark.parametrize("signature", ["", "?signature=", "?signature=abc:def", "?signature=%00"])
def test_without_a_signature_of_ours_nothing_is_told(
    client: Client, completed: FileRequest, signature: str
) -> None:
    assert client.get(download_path(completed) + signature).status_code == 403
    assert client.get(f"/files/{completed.pk}/other.gz{signature}").status_code == 403


def test_a_signature_is_good_for_one_file_only(
    client: Client,
    completed: FileRequest,
    alice: Supplier,
    work_off: Callable[[], None],
    settings: Settings,
) -> None:
    other = accept(alice, Order(START, END))
    work_off()
    other.refresh_from_db()
    signature = download_url(completed).partition("?")[2]
    assert client.get(f"{download_path(other)}?{signature}").status_code == 403


def test_a_link_ends_after_a_day(
    client: Client, completed: FileRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = local(download_url(completed), settings)
    later = timezone.now() + timedelta(hours=24, seconds=1)
    monkeypatch.setattr("django.core.signing.time.time", later.timestamp)
    assert client.get(link).status_code == 403


def test_a_file_that_is_gone_is_a_404(
    client: Client, completed: FileRequest, settings: Settings
) -> None:
    link = local(download_url(completed), settings)
    FileRequest.objects.update(expired_at=timezone.now())
    assert client.get(link).status_code == 404


def test_a_planted_link_is_not_followed(
    client: Client, completed: FileRequest, settings: Settings, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path = path_of(completed.location)
    path.unlink()
    path.symlink_to(secret)
    assert client.get(local(download_url(completed), settings)).status_code == 404
