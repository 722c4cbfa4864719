"""A simple model of readings with several versions, for tests that compare a repository with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl
from polars.testing import assert_frame_equal

from readings import frame
from readings.repositories.base import INTERVAL_TOTALS_SCHEMA, ReadingsRepository
from readings.window import Position, Window


def make_versions(
    meters: Sequence[str], times: Sequence[datetime], *, kw: float | None, kwh: float | None
) -> pl.DataFrame:
    """Return readings that arrived on time, with all columns of ``frame.FULL_SCHEMA``, in order."""
    readings = pl.DataFrame({"time": times}, schema={"time": frame.INSTANT}).join(
        pl.DataFrame({"device_id": sorted(meters)}), how="cross"
    )
    readings = readings.with_columns(
        arrival_time=pl.col("time"),
        measure_name=pl.lit(frame.MEASURE_NAME),
        load=pl.lit(10, pl.Int64),
        kw=pl.lit(kw, pl.Float64),
        kwh=pl.lit(kwh, pl.Float64),
    )
    return frame.with_full_columns(readings).sort(frame.ORDER)


def valid_readings(versions: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Return the readings of the window. ``versions`` are all stored versions, in any order."""
    if window.as_of is not None:
        versions = versions.filter(pl.col("arrival_time") <= window.as_of)
    newest = versions.sort("arrival_time").group_by(frame.ORDER).last().select(versions.columns)
    return newest.filter(window.predicate()).sort(frame.ORDER)


def follow(repository: ReadingsRepository, window: Window, size: int) -> pl.DataFrame:
    """Return the readings of all pages of a window, by the positions of ``next`` links."""
    snapshot, more = repository.snapshot(), True
    found: list[pl.DataFrame] = []
    after: Position | None = None
    while more:
        page = snapshot.page(window, offset=0, size=size, after=after, columns=frame.FULL_COLUMNS)
        found.append(page.readings)
        more = page.more
        after = Position(*page.readings.select(frame.ORDER).row(-1)) if more else None
    return pl.concat(found)


def interval_totals(readings: pl.DataFrame) -> pl.DataFrame:
    """Return the totals of these readings by minute."""
    totals = readings.group_by(pl.col("time").dt.truncate("1m").alias("minute")).agg(
        readings=pl.len(),
        late=(pl.col("arrival_time") > pl.col("time")).sum(),
        kw=pl.col("kw").sum(),
        import_kwh=pl.col("kwh").filter(pl.col("kwh") > 0).sum(),
        export_kwh=-pl.col("kwh").filter(pl.col("kwh") < 0).sum(),
    )
    return totals.sort("minute").cast(pl.Schema(INTERVAL_TOTALS_SCHEMA))


def same(found: pl.DataFrame, expected: pl.DataFrame) -> bool:
    """Return true if both frames are equal, with the same order of rows. Otherwise raise ``AssertionError``.

    Sums may differ in their last digits.
    """
    assert_frame_equal(found, expected, check_dtypes=True, check_exact=False)
    return True
