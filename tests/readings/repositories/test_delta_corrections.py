"""Corrections in a Delta table: kinds of data files, compaction, tables of earlier releases, other programs."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType

from readings import frame
from readings.repositories.delta import snapshot as snapshot_of_delta
from readings.repositories.delta.compaction import MIN_CORRECTION_FILES
from readings.repositories.delta.data_files import DataFiles
from readings.repositories.delta.decoded_rows import decode
from readings.repositories.delta.file_kinds import PARTITION, Kind
from readings.repositories.delta.folder import DiskFolder
from readings.repositories.delta.repository import DeltaRepository
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window, window_of_day
from tests.deployment import ROOT
from tests.readings.repositories.version_model import follow, interval_totals, same, valid_readings

START = datetime(2023, 2, 27, tzinfo=UTC)
FLEET = Fleet(devices=40)
TIMES = [*FLEET.intervals(START, START + 5 * FLEET.interval)]
FIRST = pl.concat([readings_for(FLEET, time) for time in TIMES])
AT_NOON = START + timedelta(hours=12)
IN_THE_EVENING = START + timedelta(hours=18)
CORRECTED = FIRST.gather_every(10).with_columns(
    pl.lit(AT_NOON, frame.INSTANT).alias("arrival_time"), kw=pl.lit(1.0), kwh=pl.lit(0.25)
)
EVERYTHING = Window(START)
VERSIONS = frame.with_full_columns(FIRST).vstack(frame.with_full_columns(CORRECTED))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "readings"


@pytest.fixture
def repository(folder: Path) -> DeltaRepository:
    """A table with corrections in one file."""
    repository = DeltaRepository(str(folder))
    repository.write(FIRST)
    repository.write(CORRECTED, corrections=True)
    return repository


def files_of(folder: Path, kind: Kind) -> tuple[str, ...]:
    table = DiskFolder(folder)
    return DataFiles.of(table, table.table()).overlapping(START, IN_THE_EVENING, kind)


def test_main_files_hold_each_reading_once(repository: DeltaRepository, folder: Path) -> None:
    [main] = files_of(folder, Kind.MAIN)
    [corrections] = files_of(folder, Kind.CORRECTIONS)
    assert files_of(folder, Kind.REPLACED) == ()
    assert len(pl.read_parquet(main)) == len(FIRST)
    assert len(pl.read_parquet(corrections)) == len(CORRECTED)


def test_a_version_that_arrived_earlier_is_a_replaced_one(folder: Path) -> None:
    repository = DeltaRepository(str(folder))
    repository.write(CORRECTED)
    repository.write(FIRST, corrections=True)
    [replaced] = files_of(folder, Kind.REPLACED)
    assert len(pl.read_parquet(replaced)) == len(CORRECTED)
    assert files_of(folder, Kind.CORRECTIONS) == ()


def test_a_page_of_minutes_without_corrections_does_not_read_those_of_others(
    folder: Path,
) -> None:
    repository = DeltaRepository(str(folder))
    repository.write(FIRST)
    repository.write(CORRECTED.filter(pl.col("time") == TIMES[0]), corrections=True)
    [corrections] = files_of(folder, Kind.CORRECTIONS)
    Path(corrections).unlink()
    snapshot = repository.snapshot()
    page = snapshot.page(EVERYTHING, offset=40, size=100)
    assert page.readings.equals(FIRST.slice(40, 100))
    with pytest.raises(RepositoryUnavailableError):
        snapshot.page(EVERYTHING, offset=0, size=10)


def test_writers_of_the_same_corrections_store_each_version_once(folder: Path) -> None:
    repository = DeltaRepository(str(folder))
    repository.write(FIRST)

    def write(_: int) -> int:
        return repository.write(CORRECTED, corrections=True)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(write, range(4))) == len(CORRECTED)
    assert same(pl.concat(repository.snapshot().versions(EVERYTHING)), VERSIONS.sort(frame.VERSION))


def test_a_day_with_many_files_of_corrections_is_compacted(folder: Path) -> None:
    repository = DeltaRepository(str(folder))
    repository.write(FIRST)
    for number in range(MIN_CORRECTION_FILES - 1):
        repository.write(CORRECTED[number : number + 1], corrections=True)
    assert repository.maintain()["days compacted"] == 0
    repository.write(CORRECTED, corrections=True)
    assert repository.maintain()["days compacted"] == 1
    assert repository.maintain()["days compacted"] == 0

    [main] = files_of(folder, Kind.MAIN)
    assert len(pl.read_parquet(main)) == len(FIRST)
    assert files_of(folder, Kind.CORRECTIONS) == ()
    [replaced] = files_of(folder, Kind.REPLACED)
    snapshot = repository.snapshot()
    assert same(pl.concat(snapshot.versions(EVERYTHING)), VERSIONS.sort(frame.VERSION))
    assert snapshot.minute_revisions(EVERYTHING)["revision"].sum() == len(CORRECTED)
    assert snapshot.may_be_corrected(EVERYTHING)

    # Only a reader with an earlier as_of opens the file with the replaced versions.
    Path(replaced).unlink()
    decode.cache_clear()
    valid = valid_readings(VERSIONS, EVERYTHING)
    for window in (EVERYTHING, Window(START, as_of=IN_THE_EVENING)):
        assert same(follow(repository, window, size=31), valid)
        assert same(snapshot.interval_totals(window), interval_totals(valid))
    with pytest.raises(RepositoryUnavailableError):
        follow(repository, Window(START, as_of=TIMES[-1]), size=31)


@pytest.mark.parametrize("as_of", [None, IN_THE_EVENING])
def test_readings_with_corrections_are_summed_in_small_parts(
    repository: DeltaRepository, monkeypatch: pytest.MonkeyPatch, as_of: datetime | None
) -> None:
    """This limits memory. A window with ``as_of`` is also tested, because the statistics do not describe it."""
    summed: list[int] = []
    sum_minutes = snapshot_of_delta._sum_minutes

    def recorded(readings: pl.LazyFrame) -> pl.DataFrame:
        totals = sum_minutes(readings)
        summed.append(int(totals["readings"].sum()))
        return totals

    monkeypatch.setattr(snapshot_of_delta, "_sum_minutes", recorded)
    monkeypatch.setattr(snapshot_of_delta, "_READINGS_PER_SUM", 2 * len(FLEET.meters.device_id))
    window = Window(START, as_of=as_of)
    expected = interval_totals(valid_readings(VERSIONS, window))
    assert same(repository.snapshot().interval_totals(window), expected)
    assert summed == [80, 80, 80]


def test_the_cached_sums_of_a_day_are_not_used_after_its_next_correction(
    repository: DeltaRepository,
) -> None:
    assert repository.maintain()["days summed up"] == 1
    day = window_of_day(START.date())
    before = repository.snapshot().hourly_means(day)
    again = CORRECTED.with_columns(
        pl.lit(IN_THE_EVENING, frame.INSTANT).alias("arrival_time"), kw=pl.lit(1_000_000.0)
    )
    repository.write(again, corrections=True)
    corrected = repository.snapshot().hourly_means(day)
    assert corrected["kw"][0] > 1000 * before["kw"][0]
    assert repository.maintain()["days summed up"] == 1
    assert repository.snapshot().hourly_means(day)["kw"][0] == pytest.approx(corrected["kw"][0])


def create_table_of_version_1(folder: Path) -> None:
    types = {frame.INSTANT: "timestamp", pl.String(): "string", pl.Int64(): "long"}
    columns = [
        Field(name, PrimitiveType(types.get(kind, "double")), nullable=False)
        for name, kind in frame.SCHEMA.items()
    ]
    day = Field(PARTITION, PrimitiveType("date"), nullable=False)
    DeltaTable.create(str(folder), Schema([*columns, day]), partition_by=[PARTITION])


def remove_what_version_1_did_not_store(folder: Path) -> None:
    """Remove what earlier releases did not store: energy, and the hourly sums' numbers of missing measures."""
    for file in (folder / "_statistics").iterdir():
        statistics = json.loads(file.read_text())
        del statistics["import_kwh"], statistics["export_kwh"]
        file.write_text(json.dumps(statistics))
    for file in (folder / "_hours").iterdir():
        sums = pl.read_parquet(file)
        sums.select(pl.exclude("^without_.*$", "kwh")).write_parquet(file)


def test_a_table_of_version_1_works_unchanged(folder: Path) -> None:
    create_table_of_version_1(folder)
    DeltaRepository(str(folder)).write(FIRST)
    DeltaRepository(str(folder)).maintain()
    remove_what_version_1_did_not_store(folder)

    repository = DeltaRepository(str(folder))
    stored = frame.with_full_columns(FIRST)
    assert same(follow(repository, EVERYTHING, size=50), stored)
    assert same(repository.snapshot().interval_totals(EVERYTHING), interval_totals(stored))
    [hour] = repository.snapshot().hourly_means(window_of_day(START.date())).rows(named=True)
    assert (hour["kw"], hour["kwh"]) == (pytest.approx(FIRST["kw"].mean()), None)
    assert len(DeltaTable(str(folder)).schema().fields) == len(frame.SCHEMA) + 1

    assert repository.write(CORRECTED, corrections=True) == len(CORRECTED)
    energy_only = frame.with_full_columns(
        readings_for(FLEET, TIMES[-1] + FLEET.interval).select(*frame.VERSION, "measure_name")
    ).with_columns(kwh=pl.lit(0.5))
    assert repository.write(energy_only) == len(energy_only)
    versions = pl.concat([VERSIONS, energy_only])
    for window in (
        EVERYTHING,
        Window(START, as_of=TIMES[-1]),
        Window(START, arrived_after=TIMES[-1]),
    ):
        valid = valid_readings(versions, window)
        assert same(follow(repository, window, size=50), valid)
        assert same(repository.snapshot().interval_totals(window), interval_totals(valid))
    valid = valid_readings(versions, EVERYTHING)
    [mean] = repository.snapshot().hourly_means(window_of_day(START.date()))["kw"]
    assert mean == pytest.approx(valid["kw"].mean())


def test_the_query_of_the_documentation_returns_the_valid_versions(
    repository: DeltaRepository, folder: Path
) -> None:
    [query] = re.findall(r"```sql\n(SELECT \* FROM \(\n.*?)```", documentation(), re.DOTALL)
    readings = pl.read_delta(str(folder))
    with duckdb.connect() as connection:
        found = connection.sql(query).to_arrow_table()
    expected = valid_readings(VERSIONS, EVERYTHING)
    found = pl.DataFrame(found).sort(frame.ORDER)
    assert found["kw"].to_list() == expected["kw"].to_list()
    assert len(readings) == len(VERSIONS)


def documentation() -> str:
    return (ROOT / "docs" / "engines.md").read_text()
