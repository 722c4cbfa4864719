"""Pages of a Delta table are read by row number, from minutes that were counted when their files were written."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from readings import frame
from readings.repositories.delta import decoded_rows, file_counts, meter_rows, minute_reader
from readings.repositories.delta.data_files import collect_all
from readings.repositories.delta.day_cache import DayCache
from readings.repositories.delta.file_kinds import PARTITION
from readings.repositories.delta.folder import Folder
from readings.repositories.delta.minute_statistics import (
    MINUTE_STATISTICS_SCHEMA,
    minute_statistics,
    read_statistics,
)
from readings.repositories.delta.repository import DeltaRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import DAY, Position, Window
from tests.readings.repositories.recorded_reads import record_reads

FLEET = Fleet(devices=30, interval_minutes=60)
START = datetime(2023, 2, 27, 20, tzinfo=UTC)
END = START + DAY
EVERYTHING = pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])
A_FEW_METERS = (*FLEET.meters.device_id[0, 16, 29], "0" * 8 + "-0000-0000-0000-" + "0" * 12)
"""The first meter, one in between, the last one, and one that sent no readings."""
LATE = readings_for(Fleet(devices=40, interval_minutes=60), START + timedelta(hours=6))
"""Readings of one interval. 30 of them are stored before."""
ODD_SECONDS = EVERYTHING.with_columns(
    (pl.col("time") + pl.duration(milliseconds=pl.int_range(pl.len()) % 90_000)).alias("time")
).sort(frame.ORDER)
"""Readings at other times in each minute, also after its end."""


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode few rows together, so that pages are in several blocks."""
    monkeypatch.setattr(decoded_rows, "BLOCK_ROWS", 8)
    monkeypatch.setattr(decoded_rows, "_MAX_BLOCKS", 4)
    decoded_rows.decode.cache_clear()


def written(folder: Path, *frames: pl.DataFrame) -> DeltaRepository:
    repository = DeltaRepository(str(folder))
    for readings in frames:
        repository.write(readings)
    return repository


def forbid_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test fail if a data file is counted by reading it."""

    def count(folder: Folder, files: list[str]) -> dict[str, pl.DataFrame]:
        assert not files
        return {}

    monkeypatch.setattr(file_counts, "_count", count)


def assert_same_pages(repository: DeltaRepository, window: Window, expected: pl.DataFrame) -> None:
    """Compare pages at all places of the window, by offset and by position, with the slices of a frame."""
    snapshot = repository.snapshot()
    for size in (1, 7, 64, 200):
        for offset in range(0, len(expected) + 70, 61):
            page = snapshot.page(window, offset=offset, size=size)
            assert page.readings.equals(expected.slice(offset, size))
            assert page.more == (offset + size < len(expected))
            if 0 < offset <= len(expected):
                last = expected.row(offset - 1, named=True)
                after = Position(last["time"], last["device_id"])
                page = snapshot.page(window, offset=0, size=size, after=after)
                assert page.readings.equals(expected.slice(offset, size))
                assert page.more == (offset + size < len(expected))


@pytest.mark.parametrize(
    "window",
    [
        Window(START),
        Window(START + timedelta(hours=3, minutes=30), END - timedelta(hours=2)),
        Window(START, as_of=START + timedelta(hours=9)),
        Window(START, arrived_after=START + timedelta(hours=9)),
        Window(START, None, tuple(FLEET.meters.device_id[3:20])),
        Window(START, None, A_FEW_METERS),
        Window(START + timedelta(hours=3, minutes=30), END - timedelta(hours=2), A_FEW_METERS),
        Window(START, None, A_FEW_METERS, as_of=START + timedelta(hours=9)),
    ],
    ids=[
        "all",
        "part",
        "as of",
        "arrived after",
        "some meters",
        "a few meters",
        "part of a few meters",
        "a few meters as of",
    ],
)
@pytest.mark.parametrize("content", ["one file a day", "late file", "odd seconds"])
def test_pages_are_slices_of_the_window(tmp_path: Path, content: str, window: Window) -> None:
    frames = {
        "one file a day": [EVERYTHING],
        "late file": [EVERYTHING, LATE],
        "odd seconds": [ODD_SECONDS],
    }[content]
    repository = written(tmp_path / "readings", *frames)
    stored = pl.concat(frames).unique(frame.ORDER, keep="first").sort(frame.ORDER)
    assert_same_pages(repository, window, stored.filter(window.predicate()))


@pytest.mark.parametrize("end", [None, START + timedelta(seconds=19)])
def test_a_page_after_a_position_stays_in_a_window_that_begins_and_ends_within_a_minute(
    tmp_path: Path, end: datetime | None
) -> None:
    seconds = pl.duration(seconds=pl.int_range(30))
    minute = readings_for(FLEET, START).with_columns(pl.col("time") + seconds)
    snapshot = written(tmp_path / "readings", minute).snapshot()
    window = Window(START + timedelta(seconds=10), end)
    for second, device_id in minute.select(frame.ORDER).rows():
        page = snapshot.page(window, offset=0, size=5, after=Position(second, device_id))
        rest = minute.filter(window.predicate(), pl.col("time") > second)
        assert page.readings.equals(rest.head(5))
        assert page.more == (len(rest) > 5)


def test_a_next_page_within_a_minute_counts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = written(tmp_path / "readings", EVERYTHING).snapshot()
    monkeypatch.delattr(minute_reader.DeltaMinuteReader, "count_up_to")
    after = Position(START, EVERYTHING["device_id"][4])
    page = snapshot.page(Window(START), offset=0, size=24, after=after)
    assert page.readings.equals(EVERYTHING.slice(5, 24))
    assert page.more


def test_another_process_counts_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "readings"
    written(folder, EVERYTHING, LATE)
    forbid_counting(monkeypatch)
    another = DeltaRepository(str(folder)).snapshot()
    assert another.minute_counts(Window(START))["readings"].sum() == len(EVERYTHING) + 10


def test_a_page_reads_no_statistics_of_earlier_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[str]] = []

    def recorded(folder: Folder, files: list[str]) -> pl.DataFrame:
        read.append(files)
        return read_statistics(folder, files)

    days = [readings_for(FLEET, START + n * DAY) for n in range(5)]
    folder = tmp_path / "readings"
    written(folder, *days)
    monkeypatch.setattr(file_counts, "read_statistics", recorded)
    page = DeltaRepository(str(folder)).snapshot().page(Window(START), offset=3 * 30 + 5, size=10)
    assert page.readings.equals(days[3].slice(5, 10))
    assert [f"{PARTITION}=2023-03-02" in file for [file] in read] == [True]


@pytest.mark.parametrize("damage", ["deleted", "cut", "other content"])
def test_a_file_without_usable_statistics_is_counted(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "readings"
    written(folder, EVERYTHING)
    for file in (folder / "_statistics").iterdir():
        text = file.read_text()
        file.write_text({"cut": text[:100], "other content": "[]"}.get(damage, ""))
        if damage == "deleted":
            file.unlink()
    assert_same_pages(DeltaRepository(str(folder)), Window(START), EVERYTHING)


def test_a_file_of_another_program_is_not_taken_as_being_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "readings"
    repository = written(folder, EVERYTHING.head(0))
    repository.snapshot()
    reverse = EVERYTHING.reverse().with_columns(pl.col("time").dt.date().alias(PARTITION))
    write_deltalake(str(folder), reverse, mode="append", schema_mode="merge")
    assert_same_pages(DeltaRepository(str(folder)), Window(START), EVERYTHING)


def test_device_ids_that_are_no_random_numbers_are_found(tmp_path: Path) -> None:
    meters = pl.Series(
        [f"{'0' * 8}-{n:027d}" for n in range(15)] + [f"meter {n}" for n in range(15)]
    )
    readings = EVERYTHING.with_columns(
        pl.col("device_id").replace_strict(FLEET.meters.device_id, meters)
    ).sort(frame.ORDER)
    assert_same_pages(written(tmp_path / "readings", readings), Window(START), readings)


def test_a_page_of_an_interval_decodes_a_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = written(tmp_path / "readings", EVERYTHING)
    snapshot = repository.snapshot()
    monkeypatch.delattr(minute_reader, "decode")
    reads = record_reads(monkeypatch)
    snapshot.page(Window(START + timedelta(hours=5)), offset=17, size=5)
    assert sum(length for _, length in reads) <= 16


def test_adjacent_pages_decode_blocks_in_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = EVERYTHING.filter(pl.col("time") >= START.replace(hour=0) + DAY)
    snapshot = written(tmp_path / "readings", readings).snapshot()
    reads = record_reads(monkeypatch)
    for row in range(0, len(readings), 5):
        page = snapshot.page(Window(START), offset=row, size=5)
        assert page.readings.equals(readings.slice(row, 5))
    assert reads[:2] == [(0, 8), (8, 8)]
    assert len(reads) == 2 + math.ceil(len(readings) / (10 * 8))


def test_pages_that_are_not_adjacent_decode_single_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = written(tmp_path / "readings", EVERYTHING.head(300)).snapshot()
    reads = record_reads(monkeypatch)
    for row in range(0, 240, 40):
        snapshot.page(Window(START), offset=row, size=8)
    assert {length for _, length in reads} == {8}


def test_a_few_meters_are_searched_once_and_then_read_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = written(tmp_path / "readings", EVERYTHING).snapshot()
    reads = record_reads(monkeypatch)
    monkeypatch.delattr(minute_reader.DeltaMinuteReader, "scan")
    page = snapshot.page(Window(START, None, A_FEW_METERS), offset=0, size=200)
    assert len(page.readings) == 3 * 25
    # Only one of the 4 and one of the 21 intervals of the two days is searched.
    assert len(reads) < 3 * 4 * len(A_FEW_METERS)


def test_the_arrival_times_of_a_meter_are_read_only_if_those_of_a_minute_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries: list[pl.LazyFrame] = []

    def recorded(some: list[pl.LazyFrame]) -> list[pl.DataFrame]:
        queries.extend(some)
        return collect_all(some)

    monkeypatch.setattr(meter_rows, "collect_all", recorded)
    second_meter = pl.col("device_id") == FLEET.meters.device_id[1]
    later = pl.when(second_meter).then(pl.col("arrival_time") + timedelta(seconds=5))
    differing = EVERYTHING.with_columns(later.otherwise("arrival_time").alias("arrival_time"))
    for name, readings, reads in (("same", EVERYTHING, 0), ("differing", differing, 25)):
        snapshot = written(tmp_path / name, readings).snapshot()
        window = Window(START, None, (FLEET.meters.device_id[1],))
        columns = ("arrival_time", "kwh")
        page = snapshot.page(window, offset=0, size=200, columns=columns)
        of_meter = readings.filter(second_meter)
        assert page.readings["arrival_time"].equals(of_meter["arrival_time"])
        # The files have no energy.
        assert page.readings["kwh"].null_count() == 25
        assert len(queries) == reads


def test_statistics_describe_each_minute() -> None:
    first, second = LATE.head(3), LATE.head(2)
    second = second.with_columns(
        pl.col("time") + pl.duration(seconds=90), pl.col("arrival_time") + pl.duration(hours=1)
    )
    last = second.with_columns(pl.col("time") + pl.duration(seconds=1))
    minutes = minute_statistics(pl.concat([first, second, last]))
    assert minutes.schema == MINUTE_STATISTICS_SCHEMA
    assert minutes["minute"].to_list() == [
        LATE["time"][0],
        LATE["time"][0] + timedelta(minutes=1),
    ]
    columns = ("readings", "row", "span", "times", "late")
    assert minutes.select(columns).rows() == [(3, 0, 3, 1, 0), (4, 3, 4, 2, 4)]
    assert minutes["last"][1] == last["time"][0]
    assert minutes["kw"].to_list() == pytest.approx([first["kw"].sum(), 2 * second["kw"].sum()])


def test_the_same_meters_have_the_same_hash_in_every_minute() -> None:
    two_hours = pl.concat([readings_for(FLEET, START), readings_for(FLEET, START + DAY / 24)])
    [meters] = minute_statistics(two_hours)["meters"].unique()
    assert minute_statistics(EVERYTHING.tail(30))["meters"].to_list() == [meters]
    assert minute_statistics(EVERYTHING.tail(29))["meters"].to_list() != [meters]


def test_statistics_of_unused_files_are_deleted_after_an_hour(tmp_path: Path) -> None:
    folder = tmp_path / "readings"
    hours = [readings_for(FLEET, START.replace(hour=hour)) for hour in range(24)]
    repository = written(folder, *hours)
    statistics = folder / "_statistics"
    (statistics / "notes.json").write_text(json.dumps("of an operator"))
    assert repository.maintain()["days compacted"] == 1
    assert len(list(statistics.iterdir())) == 26
    over_an_hour_ago = time.time() - 3601
    for file in statistics.iterdir():
        os.utime(file, (over_an_hour_ago, over_an_hour_ago))
    assert repository.maintain()["cache files removed"] == 24
    assert len(list(statistics.iterdir())) == 2


def test_a_process_forgets_the_counts_of_replaced_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its memory grows with each write."""
    counted: list[file_counts.FileCounts] = []
    create = file_counts.FileCounts.__init__

    def created(counts: file_counts.FileCounts, folder: Folder, cache: DayCache) -> None:
        counted.append(counts)
        create(counts, folder, cache)

    monkeypatch.setattr(file_counts.FileCounts, "__init__", created)
    repository = DeltaRepository(str(tmp_path / "readings"))
    for hour in range(24):
        repository.write(readings_for(FLEET, START.replace(hour=hour)))
        repository.snapshot().minute_counts(Window(START - DAY))
    repository.maintain()
    for hours in (1, 2):
        repository.write(readings_for(Fleet(devices=30), START.replace(hour=5, minute=5 * hours)))
        assert repository.snapshot().minute_counts(Window(START - DAY))["readings"].sum() == 30 * (
            24 + hours
        )
    [counts] = counted
    [versions] = counts._indexes.values()
    assert len(versions) == 2
    assert len(counts._by_file) == 3


def test_the_statistics_stay_valid_when_the_table_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "readings", EVERYTHING)
    moved = shutil.move(tmp_path / "readings", tmp_path / "moved")
    forbid_counting(monkeypatch)
    counts = DeltaRepository(str(moved)).snapshot().minute_counts(Window(START))
    assert counts["readings"].sum() == len(EVERYTHING)
