"""Tests of the list of file requests."""

from __future__ import annotations

from django.test import Client
from pytest_django import DjangoAssertNumQueries

from exports.delivery.links import download_path
from exports.file_requests import FileSpec, accept
from exports.models import ExportPart, FileRequest, Status, Supplier
from exports.pipeline import transitions
from headend.portal.file_requests import PAGE_SIZE
from tests.suppliers import END, START


def test_the_list_shows_status_and_download(
    operator: Client,
    completed: FileRequest,
    alice: Supplier,
) -> None:
    accept(alice, FileSpec(START, END))
    page = operator.get("/requests/").content.decode()
    assert download_path(completed) in page
    assert page.count('class="badge completed"') == 1
    assert page.count('class="badge queued"') == 1


def test_htmx_gets_only_the_table(operator: Client, completed: FileRequest) -> None:
    page = operator.get("/requests/", headers={"HX-Request": "true"}).content.decode()
    assert "<table>" in page
    assert "<html" not in page


def test_a_running_request_shows_its_progress(operator: Client, alice: Supplier) -> None:
    running = accept(alice, FileSpec(START, END))
    FileRequest.objects.update(status=Status.RUNNING, record_count=400)
    ExportPart.objects.create(
        request=running, number=1, start=START, end=END, record_count=400, records_done=100
    )
    page = operator.get("/requests/").content.decode()
    assert '<progress max="1" value="0.250"' in page
    assert "25.0 %" in page


def test_a_failed_request_shows_its_reason(operator: Client, alice: Supplier) -> None:
    transitions.fail(accept(alice, FileSpec(START, END)).pk, reason="<the store> is gone")
    assert "&lt;the store&gt; is gone" in operator.get("/requests/").content.decode()


def test_older_requests_are_on_later_pages(operator: Client, alice: Supplier) -> None:
    oldest, *_ = [accept(alice, FileSpec(START, END)) for _ in range(PAGE_SIZE + 1)]
    assert str(oldest.pk) not in operator.get("/requests/").content.decode()
    assert str(oldest.pk) in operator.get("/requests/?page=2").content.decode()
    assert str(oldest.pk) in operator.get("/requests/?page=999").content.decode()


def test_the_browser_must_not_cache_the_page(operator: Client) -> None:
    assert "no-store" in operator.get("/requests/")["Cache-Control"]


def test_an_htmx_request_without_a_session_reloads_the_page(client: Client, db: None) -> None:
    response = client.get("/requests/", headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"
    assert response.content == b""
    assert client.get("/requests/?page=2")["Location"] == "/login/?next=/requests/%3Fpage%3D2"


def test_an_empty_list_shows_how_to_request_a_file(operator: Client) -> None:
    assert "/readings/file" in operator.get("/requests/").content.decode()


def test_the_number_of_queries_does_not_grow_with_the_rows(
    operator: Client,
    alice: Supplier,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(20):
        accept(alice, FileSpec(START, END))
    FileRequest.objects.update(status=Status.RUNNING, record_count=400)
    with django_assert_max_num_queries(5):
        operator.get("/requests/")


def test_the_url_query_filters_the_list(operator: Client, alice: Supplier, bob: Supplier) -> None:
    ours = accept(alice, FileSpec(START, END, "parquet"))
    theirs = accept(bob, FileSpec(START, END))
    FileRequest.objects.filter(pk=theirs.pk).update(status=Status.SKIPPED)
    for query, found in (
        ("supplier=alice", [ours]),
        ("status=skipped", [theirs]),
        ("format=parquet", [ours]),
        ("since=2023-02-28", []),
        ("until=2023-02-27+15:59", []),
        ("since=2023-02-27&until=2023-02-28&supplier=bob", [theirs]),
        ("since=nonsense", [ours, theirs]),
    ):
        page = operator.get(f"/requests/?{query}").content.decode()
        shown = {each.pk for each in (ours, theirs) if f"request-{each.pk}" in page}
        assert shown == {each.pk for each in found}, query
    assert "match these filters" in operator.get("/requests/?since=2023-02-28").content.decode()
    assert "is not a date" in operator.get("/requests/?since=nonsense").content.decode()
    assert "is not between" in operator.get("/requests/?until=9999-12-31").content.decode()
