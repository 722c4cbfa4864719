"""Tests of the form for a new file request, and of its estimate."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from exports.file_requests import FileSpec, accept
from exports.models import FileRequest, Supplier
from readings import frame
from readings.models import IntervalTotals, Meter
from readings.repositories import ReadingsRepository
from tests.suppliers import END, START


def test_an_operator_requests_a_file_for_a_supplier(
    operator: Client, alice: Supplier, readings: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    form = {
        "supplier": "alice",
        "start": "2023-02-27 16:00",
        "end": "2023-02-27T16:40Z",
        "format": "jsonl",
    }
    answer = operator.post("/requests/new/", form)
    created = FileRequest.objects.get()
    assert answer["Location"] == f"/requests/{created.pk}/"
    assert (created.supplier, created.start, created.end, created.format) == (
        alice,
        START,
        END,
        "jsonl",
    )
    run_steps()
    created.refresh_from_db()
    assert created.record_count == len(readings)


def test_a_file_can_have_some_meters_arrivals_and_columns(
    operator: Client, alice: Supplier, readings: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    first, second = sorted(readings["device_id"].unique())[:2]
    form = {
        "supplier": "alice",
        "start": "2023-02-27 16:00",
        "end": "2023-02-27 16:40",
        "format": "csv",
        "device_ids": f"{second.upper()},\r\n{first}\r\n\r\nNMI 4102",
        "arrived_after": "2023-02-27 16:20",
        "columns": "own",
        "own_columns": "device_id, time",
    }
    operator.post("/requests/new/", form)
    created = FileRequest.objects.get()
    assert created.device_ids == (first, second, "NMI 4102")
    assert created.columns == "device_id,time"
    run_steps()
    page = operator.get(f"/requests/{created.pk}/").content.decode()
    created.refresh_from_db()
    assert created.record_count == 2 * 4
    for shown in ("<dt>Meters</dt>", second, "NMI 4102", "2023-02-27", "device_id, time"):
        assert shown in page
    operator.post("/requests/new/", form | {"columns": "all", "own_columns": ""})
    newest = FileRequest.objects.first()
    assert newest is not None
    assert newest.columns == ",".join(frame.FULL_COLUMNS)


def test_the_page_of_a_request_shows_the_first_of_many_meters(
    operator: Client, alice: Supplier
) -> None:
    device_ids = tuple(sorted(f"{number:064}" for number in range(1_234)))
    request = accept(alice, FileSpec(START, END, device_ids=device_ids))
    with CaptureQueriesContext(connection) as queries:
        page = operator.get(f"/requests/{request.pk}/").content.decode()
    assert "1,234" in page
    assert device_ids[4] in page
    assert device_ids[5] not in page
    assert not any(
        "SUBSTR" not in each["sql"].upper() and "device_ids" in each["sql"] for each in queries
    )


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"device_ids": "a\n" + "x" * 65}, "is not a meter id: it has 65 characters"),
        ({"device_ids": "\n".join(map(str, range(50_001)))}, "at most 50,000 meters"),
        ({"arrived_after": "soon"}, "Arrived after (UTC): &#x27;soon&#x27; is not a date"),
        ({"columns": "own", "own_columns": "time,colour"}, "&#x27;colour&#x27; is not a column"),
        ({"columns": "own", "own_columns": ""}, "is not a column"),
        ({"columns": "all", "own_columns": "time"}, "Choose “custom list”"),
        ({"start": "0001-01-01"}, "is not between 1970-01-01 and ten years from now"),
        ({"start": "yesterday"}, "&#x27;yesterday&#x27; is not a date"),
        ({"end": ""}, "This field is required."),
        ({"end": "2023-02-26"}, "“To” must not be earlier than “From”."),
        ({"format": "xml"}, "Select a valid choice"),
        ({"supplier": "nobody"}, "Select a valid choice"),
    ],
)
def test_an_invalid_field_shows_its_error(
    operator: Client, alice: Supplier, changed: dict[str, str], error: str
) -> None:
    form = {"supplier": "alice", "start": "2023-02-27", "end": "2023-02-28", "format": "csv"}
    page = operator.post("/requests/new/", form | changed).content.decode()
    assert error in page
    assert not FileRequest.objects.exists()


def test_a_window_of_one_instant_is_valid(operator: Client, alice: Supplier) -> None:
    instant = "2023-02-27 16:00"
    form = {"supplier": "alice", "start": instant, "end": instant, "format": "csv"}
    operator.post("/requests/new/", form)
    created = FileRequest.objects.get()
    assert created.start == created.end == START


def test_a_full_queue_shows_an_error(operator: Client, alice: Supplier) -> None:
    queued = accept(alice, FileSpec(START, END))
    Supplier.objects.update(max_queued=1)
    form = {"supplier": "alice", "start": "2023-02-27", "end": "2023-02-28", "format": "csv"}
    assert "are queued already" in operator.post("/requests/new/", form).content.decode()
    assert (
        "are queued already"
        in operator.post(f"/requests/{queued.pk}/again/", follow=True).content.decode()
    )


def test_the_estimate_is_not_0_for_a_window_with_readings(
    operator: Client, alice: Supplier, readings: pl.DataFrame
) -> None:
    assert not IntervalTotals.objects.exists()
    form = {"supplier": "alice", "start": f"{START}", "end": f"{END}", "format": "csv"}
    estimate = operator.get("/requests/estimate/", form).content.decode()
    assert f"About {len(readings):,} readings" in estimate
    second = {"start": "2023-02-27 15:59:30", "end": "2023-02-27 16:00:30"}
    IntervalTotals.objects.create(time=END, readings=1, late=0, kw=1.0)
    of_interval = len(readings.filter(pl.col("time") == START))
    estimate = operator.get("/requests/estimate/", form | second).content.decode()
    assert f"About {of_interval:,} readings" in estimate


def test_the_estimate_of_some_meters_is_in_proportion_and_is_posted(
    operator: Client, alice: Supplier
) -> None:
    IntervalTotals.objects.create(time=START, readings=1_000_000, late=0, kw=1.0)
    Meter.objects.bulk_create(
        Meter(device_id=f"{number}", last_day=START.date()) for number in range(10)
    )
    form = {"supplier": "alice", "start": "2023-02-27", "end": "2023-02-28", "format": "csv"}
    some = {
        "device_ids": "3\n4",
        "arrived_after": "2023-02-27",
        "columns": "own",
        "own_columns": "kw",
    }
    estimate = operator.post("/requests/estimate/", form | some).content.decode()
    assert "At most about 200,000 readings, 780.0\xa0kB." in estimate
    page = operator.post("/requests/new/", form | some | {"estimate": "yes"}).content.decode()
    assert estimate.strip() in page
    assert not FileRequest.objects.exists()


def test_the_estimate_counts_the_readings_of_the_window(
    operator: Client, alice: Supplier, completed: FileRequest, store: ReadingsRepository
) -> None:
    IntervalTotals.objects.create(time=START, readings=1_000_000, late=0, kw=1.0)
    IntervalTotals.objects.create(time=END, readings=500_000, late=0, kw=1.0)
    form = {"supplier": "alice", "start": "2023-02-27", "end": "2023-02-27 16:30", "format": "csv"}
    estimate = operator.get("/requests/estimate/", form).content.decode()
    assert "About 1,000,000 readings, 39.0\xa0MB." in estimate
    assert estimate.strip() in operator.get("/requests/new/", form).content.decode()
    empty = operator.get("/requests/estimate/", form | {"end": "2023-02-27 01:00"})
    assert "About 0 readings" in empty.content.decode()
    assert "to estimate the file size" in operator.get("/requests/estimate/").content.decode()
