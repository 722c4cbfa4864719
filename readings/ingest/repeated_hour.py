"""Find out which rows of a repeated hour belong to its second pass, from the order of a meter's rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from readings.cancellation import raise_if_cancelled
from readings.ingest.local_time import SECOND_ARRIVAL, SECOND_TIME, arrival_not_before_time
from readings.ingest.row_validation import ROW, BadRow, BadRows
from readings.ingest.scratch import scratch_errors

ROWS_PER_PART = 1_000_000
"""About how many rows of an hour are in memory at once."""
_BETWEEN_CHANGES = timedelta(hours=12)
"""Clocks change less often than this, and an hour that they repeat is shorter."""
_NEIGHBOURS = timedelta(hours=3)
"""Rows within this time of the hour show whether a meter's rows are in ascending or in descending order."""
_REPEATED = pl.col("time") != pl.col(SECOND_TIME)


@dataclass(frozen=True)
class _Part:
    """Some meters in one of the hours that clocks repeat. ``first`` and ``last`` are instants of the hour.

    Part ``number`` of ``parts`` has the meters whose hash gives this remainder.
    """

    first: datetime
    last: datetime
    number: int
    parts: int

    def select(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return the rows of the part, and those within :data:`_NEIGHBOURS`."""
        near = pl.col("time").is_between(self.first - _NEIGHBOURS, self.last + _NEIGHBOURS)
        return rows.filter(near & (pl.col("device_id").hash() % self.parts == self.number))


def resolve_repeated_hours(staged: pl.LazyFrame, folder: Path, bad: BadRows) -> pl.LazyFrame:
    """Return the staged rows with the right instant of each time that clocks show twice.

    The rows have the columns of :func:`readings.ingest.local_time.to_utc`, with the first instant as time. Rows of the
    repeated hour are stored in ``folder``. Rows that arrived before their instant are added to ``bad``.

    Raises :class:`ScratchError`.
    """
    columns = [
        name
        for name in staged.collect_schema().names()
        if name not in (SECOND_TIME, SECOND_ARRIVAL)
    ]
    resolved = [staged.filter(~_REPEATED).select(columns)]
    for number, part in enumerate(_parts(staged)):
        raise_if_cancelled()
        rows = part.select(staged)
        second = _second_rows(rows.select(ROW, "device_id", "time", SECOND_TIME).collect())
        instant = pl.when("second").then(SECOND_TIME).otherwise("time").alias("time")
        corrected = (
            rows.filter(_REPEATED)
            .join(second.lazy(), on=ROW)
            .with_columns(instant)
            .with_columns(arrival_not_before_time())
            .select(columns)
            .collect()
        )
        for [row] in corrected.filter(pl.col("arrival_time") < pl.col("time")).select(ROW).rows():
            bad.append(BadRow(row, "arrival_time is before time"))
        file = folder / f"repeated-{number:06}.parquet"
        with scratch_errors():
            corrected.write_parquet(file, compression="lz4")
        resolved.append(pl.scan_parquet(file, glob=False))
    return pl.concat(resolved)


def _parts(staged: pl.LazyFrame) -> Iterator[_Part]:
    """Yield the hours that clocks repeat, in parts of about :data:`ROWS_PER_PART`."""
    times = staged.filter(_REPEATED).group_by("time").agg(pl.len().alias("rows"))
    new_hour = (pl.col("time").diff() > _BETWEEN_CHANGES).fill_null(value=False).cum_sum()
    hours = (
        times.sort("time")
        .group_by(new_hour.alias("hour"), maintain_order=True)
        .agg(
            pl.col("time").min().alias("first"), pl.col("time").max().alias("last"), pl.sum("rows")
        )
        .collect(engine="streaming")
    )
    for first, last, rows in hours.select("first", "last", "rows").iter_rows():
        parts = 1 + rows // ROWS_PER_PART
        for number in range(parts):
            yield _Part(first, last, number, parts)


def _second_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return which rows of the repeated hour belong to its second pass: columns :data:`ROW` and ``second``.

    In the rows of a meter, time goes back once: there the second pass begins. If it goes back more often, the rows are
    not in order of time, and the second row with a time is in the second pass. ``rows`` may be in descending order.
    """
    meter = "device_id"
    rows = rows.sort(ROW)
    step = pl.col("time").diff().over(meter)
    # Ascending rows go back once, where the hour is repeated.
    descends = (step < 0).sum().over(meter) > (step > 0).sum().over(meter) + 1
    row = pl.col(ROW).cast(pl.Int64)
    ordered = rows.with_columns(pl.when(descends).then(-row).otherwise(row).alias("order"))
    goes_back = (pl.col("time") <= pl.col("time").shift().over(meter)).fill_null(value=False)
    return (
        ordered.filter(_REPEATED)
        .sort(meter, "order")
        .with_columns(goes_back.alias("goes_back"))
        .select(
            ROW,
            pl.when(pl.col("goes_back").sum().over(meter) <= 1)
            .then(pl.col("goes_back").cum_max().over(meter))
            .otherwise(pl.int_range(pl.len()).over(meter, "time") > 0)
            .alias("second"),
        )
    )
