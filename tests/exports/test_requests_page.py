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

from exports import transitions
from exports.delivery.links import download_path, download_url
from exports.models import ExportPart, FileRequest, Status, Supplier
from exports.requests import Order, accept
from exports.views import PAGE
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


def test_a_running_request_tells_how_far_it_is(operator: Client, alice: Supplier) -> None:
    running = accept(alice, Order(START, END))
    FileRequest.objects.update(status=Status.RUNNING, record_count=400)
    ExportPart.objects.create(
        request=running, number=1, start=START, end=END, record_count=400, records_done=100
    )
    page = operator.get("/").content.decode()
    assert '<progress max="1" value="0.250"' in page
    assert "25 %" in page


def test_a_failed_request_tells_why(operator: Client, alice: Supplier) -> None:
    transitions.fail(accept(alice, Order(START, END)).pk, reason="<the store> is gone")
    assert "&lt;the store&gt; is gone" in operator.get("/").content.decode()


def test_older_requests_are_on_the_next_page(operator: Client, alice: Supplier) -> None:
    oldest, *_ = [accept(alice, Order(START, END)) for _ in range(PAGE + 1)]
    assert str(oldest.pk) not in operator.get("/").content.decode()
    assert str(oldest.pk) in operator.get("/?page=2").content.decode()
    assert str(oldest.pk) in operator.get("/?page=999").content.decode()


def test_a_browser_keeps_neither_the_page_nor_the_table(operator: Client) -> None:
    assert "no-store" in operator.get("/")["Cache-Control"]


def test_a_poll_after_the_session_ended_leads_to_the_login_page(client: Client, db: None) -> None:
    response = client.get("/", headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"
    assert response.content == b""
    assert client.get("/?page=2")["Location"] == "/admin/login/?next=/%3Fpage%3D2"


def test_an_empty_page_says_what_to_do_next(operator: Client) -> None:
    assert "/readings/file" in operator.get("/").content.decode()


def test_the_page_needs_no_more_queries_with_more_rows(
    operator: Client,
    alice: Supplier,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(20):
        accept(alice, Order(START, END))
    FileRequest.objects.update(status=Status.RUNNING, record_count=400)
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


def test_a_signature_with_one_character_changed_is_refused(
    client: Client, completed: FileRequest, settings: Settings
) -> None:
    link = local(download_url(completed), settings)
    changed = link[:-2] + ("A" if link[-2] != "A" else "B") + link[-1]
    assert client.get(changed).status_code == 403


@pytest.mark.parametrize("name", ["other.gz", "..%2Fsecret", "%2Fetc%2Fpasswd", "%00", "x" * 300])
def test_a_foreign_name_is_a_404_even_for_an_operator(
    operator: Client, completed: FileRequest, name: str
) -> None:
    response = operator.get(f"/files/{completed.pk}/{name}")
    assert response.status_code == 404
    assert response.json()["error"]


def test_an_unfinished_request_has_no_file(operator: Client, alice: Supplier) -> None:
    waiting = accept(alice, Order(START, END))
    assert operator.get(f"/files/{waiting.pk}/run-1-part-r-00000.gz").status_code == 404


def test_a_file_is_only_fetched(completed: FileRequest) -> None:
    browser = Client(enforce_csrf_checks=True)
    for method in ("POST", "PUT", "DELETE"):
        response = browser.generic(method, download_path(completed))
        assert response.status_code == 405
        assert response["Allow"] == "GET, HEAD"
        assert method in response.json()["error"]


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
