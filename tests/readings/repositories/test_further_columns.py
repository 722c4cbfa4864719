"""Further columns, nulls and chosen columns, with every engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from readings import frame
from readings.repositories import ReadingsRepository, open_repository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Position, Window
from tests.readings.repositories.engines import A_MIDNIGHT, EngineUnderTest

START = A_MIDNIGHT - timedelta(minutes=10)
FLEET = Fleet(devices=8)
OLD = readings_for(FLEET, START)
"""Readings without further columns, as earlier releases wrote them."""
NEW = readings_for(FLEET, START + timedelta(minutes=5)).with_columns(
    pl.Series("kw", [None, *range(1, 8)], pl.Float64),
    pl.Series("load", [*range(1, 8), None], pl.Int64),
    pl.lit(None, pl.Float64).alias("vltg"),
    pl.Series("kwh", [1.5, -0.5, None, 2.0, 0.0, -0.25, None, 1.0]),
    pl.Series("import_kwh", [100.5] * 8),
    pl.lit(None, pl.Float64).alias("export_kwh"),
    pl.Series("quality", ["measured", None, "estimated", "missing", *["measured"] * 4]),
)
BOTH = pl.concat([frame.with_full_columns(OLD), frame.with_full_columns(NEW)])
ALL = Window(START)


@pytest.fixture(scope="module")
def filled(engine: EngineUnderTest) -> Iterator[ReadingsRepository]:
    """A repository with both intervals."""
    with engine.new_repository() as url:
        repository = open_repository(url)
        repository.write(OLD)
        assert repository.write(NEW) == len(NEW)
        assert repository.write(NEW) == 0
        yield repository


def test_all_columns_and_nulls_are_stored(filled: ReadingsRepository) -> None:
    snapshot = filled.snapshot()
    page = snapshot.page(ALL, offset=0, size=100, columns=frame.FULL_COLUMNS)
    assert_frame_equal(page.readings, BOTH)
    assert_frame_equal(pl.concat(snapshot.versions(ALL)), BOTH)
    default = snapshot.page(ALL, offset=0, size=100)
    assert_frame_equal(default.readings, BOTH.select(frame.COLUMNS))


@pytest.mark.parametrize(
    "columns", [["quality", "kwh", "time"], ["kw"], ["measure_name"], ["device_id", "vltg"]]
)
def test_a_caller_chooses_the_columns(filled: ReadingsRepository, columns: list[str]) -> None:
    snapshot = filled.snapshot()
    expected = BOTH.select(columns)
    assert_frame_equal(
        snapshot.page(ALL, offset=3, size=9, columns=columns).readings, expected[3:12]
    )
    after = Position(*BOTH.select(frame.ORDER).row(3))
    rest = snapshot.page(ALL, offset=0, size=100, after=after, columns=columns)
    assert_frame_equal(rest.readings, expected[4:])
    meter = BOTH["device_id"][2]
    of_meter = Window(START, device_ids=(meter,))
    assert_frame_equal(
        snapshot.page(of_meter, offset=0, size=9, columns=columns).readings,
        BOTH.filter(pl.col("device_id") == meter).select(columns),
    )
    for extract in (snapshot, filled.create_extract(ALL, "columns/1")):
        assert_frame_equal(pl.concat(extract.frames(ALL, columns=columns)), expected)
    filled.delete_extracts("columns")


def test_sums_leave_nulls_out(filled: ReadingsRepository) -> None:
    totals = filled.snapshot().interval_totals(ALL)
    assert totals["import_kwh"].to_list() == [0.0, 4.5]
    assert totals["export_kwh"].to_list() == [0.0, 0.75]
    assert totals["kw"].to_list() == [pytest.approx(OLD["kw"].sum()), 28.0]
