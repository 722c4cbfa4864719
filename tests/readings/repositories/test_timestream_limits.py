"""Timestream: requests and records that the service's limits divide."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from readings import frame
from readings.repositories import ReadingsRepository
from readings.repositories.timestream import repository as timestream_repository
from readings.repositories.timestream.queries import Queries
from readings.repositories.timestream.repository import TimestreamRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Position, Window
from tests.readings.repositories.test_timestream import START, new_table
from tests.services.timestream import TimestreamLocal

FLEET = Fleet(devices=60)
END = START + 19 * FLEET.interval
ALL = Window(START, END)


@pytest.fixture(scope="module")
def everything() -> pl.DataFrame:
    """The readings of 20 intervals."""
    return pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])


@pytest.fixture
def repository(timestream: TimestreamLocal) -> Iterator[ReadingsRepository]:
    """An empty repository."""
    with new_table(timestream) as address:
        yield TimestreamRepository(address)


def test_more_meters_than_one_query_can_name_are_read(
    repository: ReadingsRepository, everything: pl.DataFrame
) -> None:
    unknown = [f"meter-{'9' * 50}-{n}" for n in range(7_000)]
    known = everything["device_id"].unique().sort().to_list()[::3]
    window = Window(START, END, device_ids=tuple(sorted([*unknown, *known])))
    expected = everything.filter(pl.col("device_id").is_in(known))
    repository.write(everything)
    snapshot = repository.snapshot()
    assert snapshot.minute_counts(window)["readings"].sum() == len(expected)
    assert snapshot.page(window, offset=40, size=50).readings.equals(expected[40:90])
    after = Position(*expected.select(frame.ORDER).row(39))
    assert snapshot.page(window, offset=0, size=50, after=after).readings.equals(expected[40:90])
    for extract in (snapshot, repository.create_extract(window, "meters/1")):
        assert pl.concat(extract.frames(window)).equals(expected)
    repository.delete_extracts("meters")


def test_a_batch_load_omits_missing_measures_and_a_correction_replaces_its_readings(
    repository: ReadingsRepository, everything: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timestream_repository, "BATCH_LOAD_FROM", 1_000)
    is_odd = pl.int_range(pl.len()) % 2 == 1
    energy = frame.with_full_columns(everything).with_columns(
        pl.when(is_odd).then("kw"), kwh=pl.lit(0.5), quality=pl.lit("measured")
    )
    assert repository.write(energy) == len(energy)
    estimated = energy.head(150).with_columns(
        pl.col("arrival_time") + timedelta(hours=1), quality=pl.lit("estimated")
    )
    assert repository.write(estimated, corrections=True) == 150
    assert repository.write(energy, corrections=True) == 0
    expected = frame.valid_versions(pl.concat([energy, estimated]))
    assert pl.concat(repository.snapshot().versions(ALL)).equals(expected)


def test_a_write_of_a_few_meters_reads_no_keys_of_others(
    repository: ReadingsRepository, everything: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of one meter may have a year: the keys of the whole fleet in a year would not fit into memory."""
    of_meter = everything.filter(device_id=everything["device_id"][7])
    repository.write(everything.join(of_meter.tail(2), on=frame.ORDER, how="anti"))
    read: list[int] = []
    query = Queries.frame

    def count(queries: Queries, statement: str, *arguments: Any) -> pl.DataFrame:
        found = query(queries, statement, *arguments)
        read.append(len(found))
        return found

    monkeypatch.setattr(Queries, "frame", count)
    assert repository.write(of_meter) == 2
    assert max(read) <= len(of_meter)
    corrected = of_meter.with_columns(pl.col("arrival_time") + timedelta(hours=1))
    assert repository.write(corrected, corrections=True) == len(of_meter)
    assert max(read) <= len(of_meter)
