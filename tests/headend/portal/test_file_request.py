"""A file request's own page."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import polars as pl
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertNumQueries

from exports.file_requests import Order, accept
from exports.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryKind,
    FetchWay,
    FileFetch,
    FileRequest,
    Status,
    Supplier,
)
from tests.suppliers import END, START


@pytest.fixture
def queued(alice: Supplier) -> FileRequest:
    """A request that no worker has looked at."""
    return accept(alice, Order(START, END))


@pytest.fixture
def viewer(client: Client, django_user_model: type[User]) -> Client:
    """A member of the staff who may look at requests, and do nothing about them."""
    user = django_user_model.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_filerequest"))
    client.force_login(user)
    return client


def page_of(browser: Client, request: FileRequest) -> str:
    answer = browser.get(f"/requests/{request.pk}/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_completed_request_shows_its_file_and_how_to_fetch_it(
    operator: Client, completed: FileRequest
) -> None:
    page = page_of(operator, completed)
    assert completed.sha256 in page
    assert f"alice@localhost:{completed.location} ." in page
    assert f"/files/{completed.location}" in page
    for state in ("queued", "submitted", "running", "completed"):
        assert f'<span class="badge {state}">{state}</span> <time' in page
    assert "1,800 of 1,800" in page
    assert "Cancel it" not in page
    assert "hx-get" not in page


def test_who_fetched_it_and_what_was_brought_is_shown(
    operator: Client, completed: FileRequest
) -> None:
    now = timezone.now()
    FileFetch.objects.create(
        request=completed, way=FetchWay.SFTP, who="SHA256:abc", peer="192.0.2.7",
        bytes_sent=2048, started_at=now, ended_at=now,
    )  # fmt: skip
    delivery = Delivery.objects.create(request=completed, kind=DeliveryKind.PUSH)
    DeliveryAttempt.objects.create(
        delivery=delivery, number=1, target="files.example", outcome="Connection refused."
    )
    page = page_of(operator, completed)
    assert "SHA256:abc from 192.0.2.7, by SFTP: 2.0\xa0KB" in page
    assert "files.example: Connection refused." in page


def test_a_failed_request_says_why(operator: Client, queued: FileRequest) -> None:
    rows = FileRequest.objects.filter(pk=queued.pk)
    rows.update(status=Status.FAILED, reason="The disk <is> full.", finished_at=timezone.now())
    assert "The disk &lt;is&gt; full." in page_of(operator, queued)


def test_a_request_that_runs_moves_by_itself(operator: Client, queued: FileRequest) -> None:
    assert f'hx-get="/requests/{queued.pk}/"' in page_of(operator, queued)
    part = operator.get(f"/requests/{queued.pk}/", headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode()


def test_a_request_is_cancelled(operator: Client, queued: FileRequest) -> None:
    answer = operator.post(f"/requests/{queued.pk}/cancel/", follow=True)
    assert "The request is cancelled" in answer.content.decode()
    queued.refresh_from_db()
    assert (queued.status, queued.reason) == (Status.FAILED, "cancelled")
    again = operator.post(f"/requests/{queued.pk}/cancel/", follow=True)
    assert "had ended before" in again.content.decode()


def test_a_request_is_run_again(operator: Client, completed: FileRequest) -> None:
    answer = operator.post(f"/requests/{completed.pk}/again/")
    again = FileRequest.objects.get(status=Status.QUEUED)
    assert answer["Location"] == f"/requests/{again.pk}/"
    assert (again.start, again.end) == (completed.start, completed.end)


def test_who_may_only_look_is_offered_nothing_else(viewer: Client, queued: FileRequest) -> None:
    page = page_of(viewer, queued)
    assert "Cancel it" not in page
    assert "Run it again" not in page
    for verb in ("cancel", "again"):
        assert viewer.post(f"/requests/{queued.pk}/{verb}/").status_code == 403
    assert viewer.get("/requests/new/").status_code == 403
    assert "New request" not in viewer.get("/requests/").content.decode()


def test_nothing_is_done_by_a_link(operator: Client, queued: FileRequest) -> None:
    for verb in ("cancel", "again"):
        assert operator.get(f"/requests/{queued.pk}/{verb}/").status_code == 405


def test_a_request_there_is_not_is_not_found(operator: Client) -> None:
    assert operator.get(f"/requests/{uuid.uuid4()}/").status_code == 404


def test_strangers_are_asked_who_they_are(client: Client, queued: FileRequest) -> None:
    for path in (f"/requests/{queued.pk}/", "/requests/new/", "/requests/estimate/"):
        assert client.get(path)["Location"].startswith("/login/")


def test_the_page_takes_few_queries(operator: Client, completed: FileRequest) -> None:
    with assertNumQueries(6):
        page_of(operator, completed)


# --- asking for a file ---------------------------------------------------------------------
def test_a_file_is_asked_for_on_a_suppliers_behalf(
    operator: Client, alice: Supplier, readings: pl.DataFrame, work_off: Callable[[], None]
) -> None:
    order = {
        "supplier": "alice",
        "start": "2023-02-27 16:00",
        "end": "2023-02-27T16:40Z",
        "format": "jsonl",
    }
    answer = operator.post("/requests/new/", order)
    made = FileRequest.objects.get()
    assert answer["Location"] == f"/requests/{made.pk}/"
    assert (made.supplier, made.start, made.end, made.format) == (alice, START, END, "jsonl")
    work_off()
    made.refresh_from_db()
    assert made.record_count == len(readings)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"start": "yesterday"}, "&#x27;yesterday&#x27; is not a date"),
        ({"end": ""}, "This field is required."),
        ({"end": "2023-02-26"}, "To is before From."),
        ({"format": "xml"}, "Select a valid choice"),
        ({"supplier": "nobody"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_asked_for_is_said_beside_its_field(
    operator: Client, alice: Supplier, changed: dict[str, str], sentence: str
) -> None:
    order = {"supplier": "alice", "start": "2023-02-27", "end": "2023-02-28", "format": "csv"}
    page = operator.post("/requests/new/", order | changed).content.decode()
    assert sentence in page
    assert not FileRequest.objects.exists()


def test_a_full_queue_is_said(operator: Client, alice: Supplier, queued: FileRequest) -> None:
    Supplier.objects.update(most_queued=1)
    order = {"supplier": "alice", "start": "2023-02-27", "end": "2023-02-28", "format": "csv"}
    assert "are queued already" in operator.post("/requests/new/", order).content.decode()
    assert (
        "are queued already"
        in operator.post(f"/requests/{queued.pk}/again/", follow=True).content.decode()
    )


def test_the_estimate_counts_what_the_window_holds(
    operator: Client, alice: Supplier, completed: FileRequest
) -> None:
    from readings.models import IntervalTotals

    IntervalTotals.objects.create(time=START, readings=1_000_000, late=0, kw=1.0)
    IntervalTotals.objects.create(time=END, readings=500_000, late=0, kw=1.0)
    order = {"supplier": "alice", "start": "2023-02-27", "end": "2023-02-27 16:30", "format": "csv"}
    told = operator.get("/requests/estimate/", order).content.decode()
    assert "About 1,000,000 readings, 37.2\xa0MB." in told
    assert told.strip() in operator.get("/requests/new/", order).content.decode()
    nothing = operator.get("/requests/estimate/", order | {"end": "2023-02-27 01:00"})
    assert "About 0 readings" in nothing.content.decode()
    assert "give an estimate" in operator.get("/requests/estimate/").content.decode()


# --- the list's filters --------------------------------------------------------------------
def test_the_list_is_narrowed_by_its_address(
    operator: Client, alice: Supplier, bob: Supplier
) -> None:
    ours = accept(alice, Order(START, END, "parquet"))
    theirs = accept(bob, Order(START, END))
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
    assert "meets these filters" in operator.get("/requests/?since=2023-02-28").content.decode()
    assert "is not a date" in operator.get("/requests/?since=nonsense").content.decode()
