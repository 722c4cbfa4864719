"""Record which meters have ever sent readings, so that the portal can find a meter that is silent now."""

from __future__ import annotations

import polars as pl
from django.db import connection, transaction

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
_SCHEMA = {"device_id": pl.String(), "last_day": pl.Date()}


def record_meters(snapshot: Snapshot, minutes: pl.DataFrame) -> None:
    """Record the meters of some minutes, the newest first, and that these minutes are recorded.

    ``minutes`` has the columns ``minute`` and ``readings``, ascending, as the snapshot counts them. The interval totals
    of each minute must exist. The next update records what is left after :data:`MAX_QUERIES`, or after the process is
    killed.

    Raises :class:`RepositoryUnavailableError`.
    """
    for chunk in split_into_chunks(minutes, READINGS_PER_QUERY)[: -MAX_QUERIES - 1 : -1]:
        raise_if_cancelled()
        last_times = snapshot.last_times(Window(chunk.start, chunk.end))
        _save(last_times.select("device_id", pl.col("last").dt.date().alias("last_day")))
        _mark_as_recorded(minutes, chunk)


def delete_meters_without_readings() -> None:
    """Delete the meters whose last day is before the first interval that has totals."""
    first = IntervalTotals.objects.order_by("time").first()
    meters = Meter.objects.all()
    if first is not None:
        meters = meters.filter(last_day__lt=first.time.date())
    meters.delete()


def _save(found: pl.DataFrame) -> None:
    """Store new meters and later days. A day is never replaced by an earlier one, also if other processes write."""
    if found.is_empty():
        return
    recorded = Meter.objects.filter(last_day__gte=found["last_day"].min())
    known = pl.DataFrame(
        list(recorded.values_list("device_id", "last_day")), schema=_SCHEMA, orient="row"
    )
    later = found.join(known, on="device_id", how="left", suffix="_known").filter(
        (pl.col("last_day") > pl.col("last_day_known")) | pl.col("last_day_known").is_null()
    )
    # All processes use the same order, so two of them cannot deadlock. SQLite also needs only half of the time.
    _store(later.sort("device_id").select("device_id", pl.col("last_day").cast(pl.String)))


def _store(meters: pl.DataFrame) -> None:
    """Insert meters, or move their last day forward. Without model objects, this takes a third of the time."""
    table = Meter._meta.db_table
    statement = (
        f"INSERT INTO {table} (device_id, last_day) VALUES (%s, %s) "  # noqa: S608 (the model's table; the values are parameters)
        "ON CONFLICT (device_id) DO UPDATE SET last_day = excluded.last_day "
        f"WHERE {table}.last_day < excluded.last_day"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(statement, meters.rows())


def _mark_as_recorded(minutes: pl.DataFrame, chunk: Chunk) -> None:
    inside = minutes.filter(pl.col("minute").is_between(chunk.start, chunk.end))
    for (readings,), same in inside.group_by("readings"):
        times = same["minute"].to_list()
        for start in range(0, len(times), _ROWS_PER_STATEMENT):
            some = times[start : start + _ROWS_PER_STATEMENT]
            IntervalTotals.objects.filter(time__in=some).update(recorded=readings)
