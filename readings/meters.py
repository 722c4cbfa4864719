"""Record which meters have ever sent readings, so that a meter that is silent now can be found."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
from django.db import connection, transaction

from readings import frame
from readings.cancellation import raise_if_cancelled
from readings.models import IntervalTotals, Meter
from readings.repositories import Snapshot
from readings.repositories.chunks import Chunk, split_into_chunks
from readings.window import Window

READINGS_PER_QUERY = 3_000_000
"""About how many readings one query reads: a second of work."""
MAX_QUERIES = 60
"""How many queries one call runs at most, so that other tasks get their turn."""
_ROWS_PER_STATEMENT = 1_000
_METERS_AT_ONCE = 50_000
"""Limits memory: a meter needs about 300 bytes as Python objects."""
LAST_TIME_STEP = timedelta(hours=1)
"""The last time of a meter is stored again if it has moved by this. Otherwise each interval would rewrite the table."""
_SCHEMA = {"device_id": pl.String(), "known_day": pl.Date(), "known_time": frame.INSTANT}


def record_meters(snapshot: Snapshot, minutes: pl.DataFrame) -> None:
    """Record the meters of some minutes, the newest first, and that these minutes are recorded.

    ``minutes`` has the columns ``minute`` and ``readings``, ascending, as the snapshot counts them. The interval totals
    of each minute must exist. The next update records what is left after :data:`MAX_QUERIES`, or after the process is
    killed.

    Raises :class:`RepositoryUnavailableError`.
    """
    for chunk in split_into_chunks(minutes, READINGS_PER_QUERY)[: -MAX_QUERIES - 1 : -1]:
        raise_if_cancelled()
        _store_later_times(snapshot.last_times(Window(chunk.start, chunk.end)))
        _mark_as_recorded(minutes, chunk)


def delete_meters_without_readings() -> None:
    """Delete the meters whose last day is before the first interval that has totals."""
    first = IntervalTotals.objects.order_by("time").first()
    meters = Meter.objects.all()
    if first is not None:
        meters = meters.filter(last_day__lt=first.time.date())
    meters.delete()


def _store_later_times(found: pl.DataFrame) -> None:
    """Store new meters, and later times. A time is never replaced by an earlier one, even if other processes write.

    ``found`` has the columns of :meth:`Snapshot.last_times`.
    """
    if found.is_empty():
        return
    # SQLite compares instants as text. Whole minutes are written in the same form in all columns and parameters.
    times = found.select(
        "device_id",
        pl.col("last").dt.date().alias("last_day"),
        pl.col("last").dt.truncate("1m").alias("last_time"),
    )
    earliest = times.select(pl.col("last_time").min() - LAST_TIME_STEP).item()
    recorded = Meter.objects.filter(last_time__gt=earliest)
    columns = recorded.values_list("device_id", "last_day", "last_time")
    known = pl.DataFrame(list(columns), schema=_SCHEMA, orient="row")
    later = times.join(known, on="device_id", how="left").filter(
        pl.col("known_time").is_null()
        | (pl.col("last_day") > pl.col("known_day"))
        | (pl.col("last_time") >= pl.col("known_time") + LAST_TIME_STEP)
    )
    # All processes use the same order, so two of them cannot deadlock. SQLite also needs only half of the time.
    _insert_or_update(later.select(times.columns).sort("device_id"))


def _insert_or_update(meters: pl.DataFrame) -> None:
    """Insert meters, or move their last times forward. Without model objects, this takes a third of the time."""
    table = Meter._meta.db_table
    statement = (
        f"INSERT INTO {table} (device_id, last_day, last_time) VALUES (%s, %s, %s) "  # noqa: S608 (the model's table; the values are parameters)
        "ON CONFLICT (device_id) DO UPDATE SET last_time = excluded.last_time, last_day = CASE "
        f"WHEN {table}.last_day < excluded.last_day THEN excluded.last_day ELSE {table}.last_day END "
        f"WHERE {table}.last_time < excluded.last_time"
    )
    for_database = _last_times_for_database(meters["last_time"])
    meters = meters.with_columns(pl.col("last_day").cast(pl.String))
    with transaction.atomic(), connection.cursor() as cursor:
        for part in meters.iter_slices(_METERS_AT_ONCE):
            rows = [(device_id, day, for_database[time]) for device_id, day, time in part.rows()]
            cursor.executemany(statement, rows)


def _last_times_for_database(times: pl.Series) -> dict[datetime, Any]:
    """Return the parameter of a statement for each of these instants. Most meters have the same one."""
    return {
        time: connection.ops.adapt_datetimefield_value(time) for time in times.unique().to_list()
    }


def _mark_as_recorded(minutes: pl.DataFrame, chunk: Chunk) -> None:
    inside = minutes.filter(pl.col("minute").is_between(chunk.start, chunk.end))
    for (readings,), same in inside.group_by("readings"):
        times = same["minute"].to_list()
        for start in range(0, len(times), _ROWS_PER_STATEMENT):
            some = times[start : start + _ROWS_PER_STATEMENT]
            IntervalTotals.objects.filter(time__in=some).update(recorded=readings)
