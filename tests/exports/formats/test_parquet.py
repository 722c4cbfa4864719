"""Parquet files from row groups that are written independently, read by four Parquet readers."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import deltalake
import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from exports.formats import FORMATS
from exports.formats.base import Section
from readings import frame
from tests.exports.formats.parts import FIRST_INTERVAL, file_of, in_parts, readings, written_part

SIX = readings(6)
PARTS = in_parts(SIX, [50, 100], [150])
FIFTH = SIX.slice(200, 50)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of six intervals, in two parts with three row groups in total."""
    path = tmp_path / "file.parquet"
    path.write_bytes(file_of("parquet", PARTS))
    return path


def test_each_frame_is_a_row_group_with_statistics(file: Path) -> None:
    metadata = pq.ParquetFile(file).metadata
    frames = [part_frame for part in PARTS for part_frame in part]
    assert (metadata.num_rows, metadata.num_row_groups) == (300, 3)
    for number, readings_of_group in enumerate(frames):
        group = metadata.row_group(number)
        assert group.num_rows == len(readings_of_group)
        for position, name in enumerate(frame.COLUMNS):
            found, values = group.column(position).statistics, readings_of_group[name]
            expected = (values.min(), values.max(), 0)
            assert (found.min, found.max, found.null_count) == expected


def test_columns_types_and_compression_follow_the_contract(file: Path) -> None:
    parquet = pq.ParquetFile(file)
    assert [(field.name, str(field.type)) for field in parquet.schema_arrow] == [
        ("time", "timestamp[us, tz=UTC]"),
        ("arrival_time", "timestamp[us, tz=UTC]"),
        ("device_id", "large_string"),
        ("measure_name", "large_string"),
        ("load", "int64"),
        *[(name, "double") for name in ("crrnt", "pf", "kva", "kw", "vltg")],
    ]
    group = parquet.metadata.row_group(2)
    assert {group.column(n).compression for n in range(group.num_columns)} == {"ZSTD"}


def test_pages_do_not_overlap_and_have_no_page_index(file: Path) -> None:
    metadata = pq.ParquetFile(file).metadata
    end = 4
    for group in (metadata.row_group(number) for number in range(3)):
        for column in (group.column(number) for number in range(group.num_columns)):
            dictionary = column.dictionary_page_offset
            begin = column.data_page_offset if dictionary is None else dictionary
            assert begin >= end
            end = begin + column.total_compressed_size
            assert not column.has_offset_index
            assert not column.has_column_index
    assert end <= file.stat().st_size - metadata.serialized_size - 8


@pytest.mark.parametrize("minutes", [0, 5, 20, 25, 30])
def test_readers_filter_by_time(file: Path, minutes: int) -> None:
    at = FIRST_INTERVAL + timedelta(minutes=minutes)
    expected = SIX.filter(pl.col("time") == at)
    assert pl.scan_parquet(file).filter(pl.col("time") == at).collect().equals(expected)
    assert pl.DataFrame(pq.read_table(file, filters=[("time", "=", at)])).equals(expected)
    found = duckdb.read_parquet(str(file)).filter(f"time = '{at.isoformat()}'")
    assert found.project("device_id, load").fetchall() == expected["device_id", "load"].rows()


def test_one_row_group_can_be_read(file: Path) -> None:
    group = pl.DataFrame(pq.ParquetFile(file).read_row_group(2))
    assert group.equals(SIX.slice(150, 150))


def test_a_reader_that_skips_pages_finds_rows_in_every_row_group(tmp_path: Path) -> None:
    # DataFusion skips pages by their page index. 300,000 rows of 8-byte numbers are about three pages.
    many = pl.concat([SIX] * 1000).with_columns(kw=pl.int_range(pl.len()) / 1000)
    groups = [many, many.with_columns(pl.col("kw") + 1000)]
    (tmp_path / "file.parquet").write_bytes(file_of("parquet", [[group] for group in groups]))
    deltalake.convert_to_deltalake(str(tmp_path))
    table = deltalake.QueryBuilder().register("file", deltalake.DeltaTable(str(tmp_path)))
    query = "SELECT kw, load FROM file WHERE kw BETWEEN 280 AND 281 OR kw BETWEEN 1010 AND 1011 ORDER BY kw"
    inside = pl.col("kw").is_between(280, 281) | pl.col("kw").is_between(1010, 1011)
    found = pl.DataFrame(table.execute(query).read_all())
    assert found.equals(pl.concat(groups).filter(inside).select("kw", "load"))


def test_a_part_beyond_the_first_gigabytes_is_found(tmp_path: Path) -> None:
    parquet, path = FORMATS["parquet"], tmp_path / "file.parquet"
    header, header_state = parquet.header()
    [(first, first_section), (second, second_section)] = [
        written_part("parquet", part) for part in PARTS
    ]
    hole = 5 * 2**30
    sections = [
        Section(len(header), header_state),
        Section(hole, first_section.format_state),
        second_section,
    ]
    with path.open("wb") as file:
        file.write(header + first)
        file.seek(len(header) + hole)
        file.write(second + parquet.footer(sections))
    assert pl.DataFrame(pq.read_table(path, memory_map=True)).equals(SIX)
    assert pl.scan_parquet(path).filter(pl.col("time") == FIFTH["time"][0]).collect().equals(FIFTH)


def test_a_file_without_parts_has_all_columns_and_no_rows() -> None:
    content = file_of("parquet", [])
    assert pl.read_parquet(io.BytesIO(content)).equals(frame.empty())
    assert pq.ParquetFile(io.BytesIO(content)).metadata.num_row_groups == 0
    table = duckdb.from_arrow(pq.read_table(io.BytesIO(content)))
    assert table.columns == frame.COLUMNS
