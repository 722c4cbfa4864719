"""A file request can name meters, an instant after which the readings arrived, and columns."""

from __future__ import annotations

import hashlib
import io
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from exports.file_requests import FileSpec, accept, request_again
from exports.models import FileRequest, MeterList, Status, Supplier
from exports.pipeline import export_file
from readings import frame
from readings.instants import format_instant
from readings.repositories import ReadingsRepository
from tests.suppliers import END, FLEET, START, api_client, file_path, fleet_readings

WINDOW = {"start_date": format_instant(START), "end_date": format_instant(END)}
METERS = sorted(FLEET.meters.device_id.to_list())
COLUMNS = ["device_id", "quality", "time", "kwh", "load"]
MANY = [str(uuid.UUID(int=number)) for number in range(50_001)]


@pytest.fixture
def client_of_alice(alice: Supplier) -> APIClient:
    """A client that sends the API key of Alice."""
    return api_client(alice)


@pytest.fixture
def late_readings(store: ReadingsRepository) -> pl.DataFrame:
    """Stored readings of nine intervals. Every third meter is an hour late; every second reading has no energy."""
    number = pl.int_range(pl.len())
    arrival_time = pl.when(number % 3 == 0).then(pl.col("time") + pl.duration(hours=1))
    readings = frame.with_full_columns(fleet_readings()).with_columns(
        arrival_time.otherwise(pl.col("time")).alias("arrival_time"),
        kwh=pl.when(number % 2 == 0).then(number / 1000),
        load=pl.when(number % 5 > 0).then("load"),
        quality=pl.when(number % 2 == 0).then(pl.lit("estimated")),
    )
    store.write(readings)
    return readings


def post(client: APIClient, key: str = "", **body: Any) -> Any:
    """POST a file request with an Idempotency-Key, and return the response."""
    headers = {"Idempotency-Key": key}
    text = json.dumps(WINDOW | body)
    return client.post("/readings/file", text, content_type="application/json", headers=headers)


def table_of(request: FileRequest) -> pl.DataFrame:
    """Return the content of a request's file."""
    content = file_path(request.location).read_bytes()
    assert hashlib.sha256(content).hexdigest() == request.sha256
    if request.format == "parquet":
        return pl.read_parquet(io.BytesIO(content))
    if request.format == "jsonl":
        return pl.read_ndjson(io.BytesIO(content))
    return pl.read_csv(io.BytesIO(content))


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_a_file_has_the_requested_meters_arrivals_and_columns(
    client_of_alice: APIClient,
    late_readings: pl.DataFrame,
    run_steps: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr(export_file, "PART_READINGS", 30)
    meters, middle = METERS[3:30], START + timedelta(minutes=20)
    answer = post(
        client_of_alice,
        format=name,
        device_id=[meters[0].upper(), *reversed(meters)],
        arrived_after=format_instant(middle),
        columns=",".join(COLUMNS),
    )
    run_steps()
    request = FileRequest.objects.get(pk=answer.json()["request_id"])
    is_requested = pl.col("device_id").is_in(meters) & (pl.col("arrival_time") > middle)
    expected = late_readings.filter(is_requested).select(COLUMNS)
    assert request.status == Status.COMPLETED, request.reason
    assert request.record_count == len(expected) > 100
    assert request.parts.count() > 2
    found = table_of(request)
    assert found.columns == COLUMNS
    values = expected if name == "parquet" else frame.with_instants_as_text(expected)
    assert found.rows() == values.rows()
    again = request_again(request)
    run_steps()
    again.refresh_from_db()
    assert table_of(again).equals(found)
    assert again.sha256 == request.sha256


def test_a_file_has_the_valid_version_of_a_corrected_reading(
    alice: Supplier, store: ReadingsRepository, run_steps: Callable[[], None]
) -> None:
    correction = END + timedelta(hours=1)
    original = fleet_readings().filter(pl.col("device_id") == METERS[0])
    corrected = original.head(4).with_columns(
        frame.literal(correction).alias("arrival_time"), pl.col("kw") + 1
    )
    store.write(fleet_readings())
    store.write(corrected, corrections=True)
    spec = FileSpec(START, END, "parquet", device_ids=(METERS[0],))
    specs = [spec, replace(spec, as_of=END), replace(spec, arrived_after=END)]
    newest, frozen, changed = [accept(alice, each) for each in specs]
    run_steps()
    for request, expected in (
        (newest, pl.concat([corrected, original.slice(4)])),
        (frozen, original),
        (changed, corrected),
    ):
        request.refresh_from_db()
        assert table_of(request).equals(expected)
        assert request.record_count == len(expected)


def test_an_unknown_meter_gives_a_file_with_the_requested_header_only(
    client_of_alice: APIClient, late_readings: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    post(client_of_alice, device_id="NMI 4102", columns="time,kwh")
    run_steps()
    request = FileRequest.objects.get()
    assert (request.status, request.record_count) == (Status.COMPLETED, 0)
    assert table_of(request).columns == ["time", "kwh"]


def test_the_status_counts_the_meters_and_lists_do_not_load_their_ids(
    client_of_alice: APIClient,
) -> None:
    plain = post(client_of_alice).json()
    named = post(client_of_alice, device_id=METERS[:3], arrived_after="2023-02-27", columns="all")
    request_id = named.json()["request_id"]
    status = client_of_alice.get("/readings/file", {"request_id": request_id}).json()
    assert status == {
        "request_id": request_id,
        "status": "queued",
        "meters": 3,
        "arrived_after": "2023-02-27 00:00:00.000000",
        "columns": ",".join(frame.FULL_COLUMNS),
    }
    with CaptureQueriesContext(connection) as queries:
        listed = client_of_alice.get("/readings/files").json()["results"]
    assert listed == [status, plain]
    assert "device_ids" not in str(queries.captured_queries)


def test_fifty_thousand_meters_are_accepted_and_one_more_is_refused(
    client_of_alice: APIClient,
) -> None:
    for _ in range(2):
        assert post(client_of_alice, device_id=MANY[:-1]).status_code == 200
    request = FileRequest.objects.first()
    assert request is not None
    assert request.device_ids == tuple(MANY[:-1])
    assert MeterList.objects.count() == 1
    answer = post(client_of_alice, device_id=MANY)
    assert answer.status_code == 400
    assert "device_id names more than 50,000 meters" in answer.json()["error"]


def test_only_a_body_that_names_meters_may_have_two_mebibytes(client_of_alice: APIClient) -> None:
    for named, size, status in (
        ({}, 64 * 1024, 200),
        ({}, 64 * 1024 + 1, 413),
        ({"device_id": "a"}, 2 * 2**20, 200),
        ({"device_id": "a"}, 2 * 2**20 + 1, 413),
    ):
        body = json.dumps(WINDOW | named).ljust(size)
        answer = client_of_alice.post("/readings/file", body, content_type="text/plain")
        assert answer.status_code == status, answer.json()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"device_id": []}, "device_id is an empty list"),
        ({"device_id": ["x" * 65]}, "device_id: 'xxx"),
        ({"device_id": "a,b"}, "device_id: 'a,b' is not a meter id"),
        ({"device_id": [""]}, "device_id: '' is not a meter id"),
        ({"device_id": [5]}, "device_id takes ids as text in quotes"),
        ({"device_id": {"a": 1}}, "device_id takes the text of an id in quotes, or a list"),
        ({"device_id": None}, "device_id is null"),
        ({"arrived_after": "soon"}, "arrived_after"),
        ({"columns": "time,colour"}, "columns: 'colour' is not a column"),
        ({"columns": "kwh,kwh"}, "columns: 'kwh' is repeated"),
        ({"columns": ""}, "columns names no column"),
        ({"columns": ["time"]}, "columns takes one text in quotes, not a list or a number"),
    ],
)
def test_a_wrong_value_is_named(
    client_of_alice: APIClient, body: dict[str, Any], named: str
) -> None:
    answer = post(client_of_alice, **body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]
    assert not FileRequest.objects.exists()


def test_the_same_idempotency_key_needs_the_same_meters_arrivals_and_columns(
    client_of_alice: APIClient,
) -> None:
    body = {"device_id": METERS[:2], "arrived_after": "2023-02-27", "columns": "time,kwh"}
    first = post(client_of_alice, "key", **body).json()
    same = {
        "device_id": METERS[1::-1],
        "arrived_after": "2023-02-27T00:00Z",
        "columns": "time, kwh",
    }
    assert post(client_of_alice, "key", **same).json() == first
    for changed in (
        {"device_id": METERS[:1]},
        {"arrived_after": "2023-02-28"},
        {"columns": "kwh,time"},
    ):
        assert post(client_of_alice, "key", **(body | changed)).status_code == 409


def test_the_hash_of_a_request_without_these_is_that_of_earlier_versions(alice: Supplier) -> None:
    values = [format_instant(START), format_instant(END), "csv", None]
    earlier = hashlib.sha256(json.dumps(values).encode()).hexdigest()
    assert accept(alice, FileSpec(START, END), idempotency_key="k").idempotency_digest == earlier
