"""Every format gives the same readings, in the same order, whichever parts they were written in."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from exports.formats import FORMATS
from exports.formats.base import Stretch
from exports.models import Status, Supplier
from exports.requests import Order, accept
from readings import frame
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.exports.conftest import END, START, path_of

Parts = list[list[pl.DataFrame]]


def readings(intervals: int, meters: int = 50) -> pl.DataFrame:
    fleet = Fleet(devices=meters)
    first = datetime(2023, 2, 27, tzinfo=UTC)
    return pl.concat([readings_for(fleet, first + n * fleet.interval) for n in range(intervals)])


def in_parts(whole: pl.DataFrame, *lengths: list[int]) -> Parts:
    parts, start = [], 0
    for frames in lengths:
        part = []
        for length in frames:
            part.append(whole.slice(start, length))
            start += length
        parts.append(part)
    assert start == len(whole)
    return parts


def file_of(name: str, parts: Parts) -> bytes:
    """The parts written apart, and put behind each other."""
    file_format = FORMATS[name]
    content, note = file_format.opening()
    stretches = [Stretch(len(content), note)]
    for part in parts:
        writer = file_format.part()
        written = b"".join(writer.rows(each) for each in part) + writer.end()
        # As the database keeps it.
        stretches.append(Stretch(len(written), json.loads(json.dumps(writer.note()))))
        content += written
    return content + file_format.closing(stretches)


def read_csv(content: bytes) -> list[list[str]]:
    assert zlib.decompressobj(wbits=31).decompress(content) == gzip.decompress(content)
    header, *rows = csv.reader(io.StringIO(gzip.decompress(content).decode()))
    assert header == frame.COLUMNS
    return rows


def read_jsonl(content: bytes) -> list[list[str]]:
    assert zlib.decompressobj(wbits=31).decompress(content) == gzip.decompress(content)
    objects = [json.loads(line) for line in gzip.decompress(content).splitlines()]
    assert all(list(each) == frame.COLUMNS for each in objects)
    return [[str(value) for value in each.values()] for each in objects]


def read_parquet(content: bytes) -> list[list[str]]:
    table = pl.DataFrame(pq.read_table(io.BytesIO(content)))
    assert dict(table.schema) == frame.SCHEMA
    assert table.equals(pl.read_parquet(io.BytesIO(content)))
    return [
        [f"{v:%Y-%m-%d %H:%M:%S.%f}" if isinstance(v, datetime) else str(v) for v in row]
        for row in table.rows()
    ]


READERS: dict[str, Callable[[bytes], list[list[str]]]] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
}
SIX = readings(6)
CUTS = [
    pytest.param(in_parts(SIX, [300]), id="one part"),
    pytest.param(in_parts(SIX, [50, 100], [1], [149]), id="several"),
    pytest.param([], id="empty"),
]


def test_every_format_has_a_reader_here() -> None:
    assert READERS.keys() == FORMATS.keys()


@pytest.mark.parametrize("parts", CUTS)
@pytest.mark.parametrize("name", READERS)
def test_a_file_holds_the_readings_in_order(name: str, parts: Parts) -> None:
    frames = [each for part in parts for each in part]
    expected = [
        [f"{v:%Y-%m-%d %H:%M:%S.%f}" if isinstance(v, datetime) else str(v) for v in row]
        for each in frames
        for row in each.rows()
    ]
    assert READERS[name](file_of(name, parts)) == expected


@pytest.mark.parametrize("name", READERS)
def test_the_same_readings_make_the_same_bytes(name: str) -> None:
    parts = in_parts(SIX, [100, 100], [100])
    assert file_of(name, parts) == file_of(name, parts)


def test_a_parquet_file_tells_its_row_groups_apart() -> None:
    content = file_of("parquet", in_parts(SIX, [50, 100], [150]))
    metadata = pq.ParquetFile(io.BytesIO(content)).metadata
    assert metadata.num_rows == 300
    spans = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        statistics = group.column(0).statistics
        spans.append((group.num_rows, (statistics.max - statistics.min) // timedelta(minutes=1)))
    assert spans == [(50, 0), (100, 5), (150, 10)]


def test_a_parquet_file_is_searched_by_its_statistics(tmp_path: object) -> None:
    path = f"{tmp_path}/file.parquet"
    with open(path, "wb") as file:  # noqa: PTH123 (duckdb takes the text)
        file.write(file_of("parquet", in_parts(SIX, [50, 100], [150])))
    [found] = duckdb.execute(
        f"SELECT count(*), sum(load) FROM '{path}' WHERE time = '2023-02-27 00:20:00+00'"  # noqa: S608 (a test's own path)
    ).fetchall()
    fifth = SIX.slice(200, 50)
    assert found == (50, fifth["load"].sum())
    scanned = pl.scan_parquet(path).filter(pl.col("time") == fifth["time"][0]).collect()
    assert scanned.equals(fifth)


@pytest.mark.parametrize("name", FORMATS)
def test_a_request_ends_in_a_file_of_its_format(
    alice: Supplier, readings: pl.DataFrame, work_off: Callable[[], None], name: str
) -> None:
    request = accept(alice, Order(START, END, name))
    work_off()
    request.refresh_from_db()
    assert request.status == Status.COMPLETED, request.reason
    assert request.location.endswith(f"-part-r-00000.{FORMATS[name].extension}")
    assert len(READERS[name](path_of(request.location).read_bytes())) == len(readings)
