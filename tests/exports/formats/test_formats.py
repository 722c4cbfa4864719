"""Every format stores the same readings in the same order, however they are split into parts."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl
import pyarrow.parquet as pq
import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from exports.delivery.links import download_path
from exports.file_requests import FileSpec, accept
from exports.formats import FORMATS, gzip_text
from exports.models import Status, Supplier
from exports.pipeline import export_file
from readings import frame
from tests.exports.formats.parts import Parts, file_of, in_parts, readings
from tests.suppliers import END, START, api_client, file_path

Rows = list[list[str]]


def texts(readings: pl.DataFrame) -> Rows:
    """Return the readings' values in the contract's text form."""
    return [
        [f"{v:%Y-%m-%d %H:%M:%S.%f}" if isinstance(v, datetime) else str(v) for v in row]
        for row in readings.rows()
    ]


def read_csv(content: bytes) -> Rows:
    assert zlib.decompressobj(wbits=31).decompress(content) == gzip.decompress(content)
    header, *rows = csv.reader(io.StringIO(gzip.decompress(content).decode()))
    assert header == frame.COLUMNS
    return rows


def read_jsonl(content: bytes) -> Rows:
    assert zlib.decompressobj(wbits=31).decompress(content) == gzip.decompress(content)
    objects = [json.loads(line) for line in gzip.decompress(content).splitlines()]
    assert all(list(row) == frame.COLUMNS for row in objects)
    return [[str(value) for value in row.values()] for row in objects]


def read_parquet(content: bytes) -> Rows:
    table = pl.DataFrame(pq.read_table(io.BytesIO(content)))
    assert dict(table.schema) == frame.SCHEMA
    assert table.equals(pl.read_parquet(io.BytesIO(content)))
    return texts(table)


READERS: dict[str, Callable[[bytes], Rows]] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
}
SIX = readings(6)
SPLITS = [
    pytest.param(in_parts(SIX, [300]), id="one part"),
    pytest.param(in_parts(SIX, [50, 100], [1], [149]), id="several parts"),
    pytest.param([], id="no parts"),
]
INSTANTS = st.datetimes(
    datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC), allow_imaginary=False
)
NUMBERS = st.integers(-(10**6), 10**6).map(lambda thousandths: thousandths / 1000)
READING = st.tuples(
    INSTANTS,
    INSTANTS,
    st.uuids().map(str),
    st.just(frame.MEASURE_NAME),
    st.integers(-(2**63), 2**63 - 1),
    *[NUMBERS] * 5,
)
FRAME = st.lists(READING, max_size=4).map(
    lambda rows: pl.DataFrame(rows, schema=frame.SCHEMA, orient="row")
)
PARTS = st.lists(st.lists(FRAME, max_size=3), max_size=3)


def test_every_format_has_a_reader_in_this_module() -> None:
    assert READERS.keys() == FORMATS.keys()


@pytest.mark.parametrize("parts", SPLITS)
@pytest.mark.parametrize("name", READERS)
def test_a_file_holds_the_readings_in_order(name: str, parts: Parts) -> None:
    expected = [row for part in parts for part_frame in part for row in texts(part_frame)]
    assert READERS[name](file_of(name, parts)) == expected


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=settings().max_examples // 2)
@given(parts=PARTS)
def test_any_readings_in_any_parts_are_read_unchanged(name: str, parts: Parts) -> None:
    expected = [row for part in parts for part_frame in part for row in texts(part_frame)]
    assert READERS[name](file_of(name, parts)) == expected


@pytest.mark.parametrize("name", READERS)
def test_the_same_readings_in_the_same_parts_give_the_same_bytes(name: str) -> None:
    in_many_chunks = pl.concat([SIX.slice(n, 7) for n in range(0, 300, 7)], rechunk=False)
    first, second = (in_parts(same, [100, 100], [100]) for same in (SIX, in_many_chunks))
    assert file_of(name, first) == file_of(name, second)


@pytest.mark.parametrize("name", FORMATS)
def test_a_request_completes_with_a_file_of_its_format(
    alice: Supplier,
    operator: Client,
    readings: pl.DataFrame,
    run_steps: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr(export_file, "PART_READINGS", len(readings) // 3)
    request = accept(alice, FileSpec(START, END, name))
    run_steps()
    request.refresh_from_db()
    assert request.status == Status.COMPLETED, request.reason
    assert request.parts.count() == 3
    assert request.location.endswith(f"-part-r-00000.{FORMATS[name].extension}")
    assert READERS[name](file_path(request.location).read_bytes()) == texts(readings)
    assert operator.get(download_path(request))["Content-Type"] == FORMATS[name].media_type


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", FORMATS)
def test_a_window_without_readings_gives_a_file_without_rows(
    alice: Supplier, run_steps: Callable[[], None], name: str
) -> None:
    request = accept(alice, FileSpec(START, END, name))
    run_steps()
    request.refresh_from_db()
    assert READERS[name](file_path(request.location).read_bytes()) == []


@pytest.mark.parametrize("name", FORMATS)
def test_the_api_accepts_the_format(alice: Supplier, name: str) -> None:
    body = {"start_date": f"{START:%F %T}", "end_date": f"{END:%F %T}", "format": name}
    assert api_client(alice).post("/readings/file", body, format="json").status_code == 200
    assert alice.file_requests.get().format == name


def test_the_api_schema_names_every_format(client: Client) -> None:
    schema = client.get("/api/schema/full/", {"format": "json"}).json()
    body = schema["components"]["schemas"]["FileRequestBody"]["properties"]["format"]
    named = schema["components"]["schemas"].get("FormatEnum", body)
    assert named["enum"] == list(FORMATS)


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_a_frame_that_is_compressed_in_several_blocks_keeps_its_order(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = readings(3)
    expected = gzip.decompress(file_of(name, in_parts(whole, [150])))
    monkeypatch.setattr(gzip_text, "_RENDERED_READINGS", 40)
    assert gzip.decompress(file_of(name, in_parts(whole, [100, 10], [40]))) == expected
