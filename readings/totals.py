"""The interval totals, kept up to date with the store: what has changed is read again, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
from django.db.models import CharField
from django.db.models.functions import Cast, Substr

from readings.models import IntervalTotals
from readings.repositories import Snapshot
from readings.repositories.minute_index import LAST_MICROSECOND
from readings.window import Window

READINGS_AT_ONCE = 3_000_000
"""About how many readings are summed up by one query: a second's work."""
_EVER = datetime(1, 1, 1, tzinfo=UTC)


def update_totals(
    snapshot: Snapshot, start: datetime | None = None, end: datetime | None = None
) -> int:
    """Make the totals between two instants (default: of all times), by whole minutes, those of the snapshot.

    A kept reading never changes, so an interval whose count is the same is the same. Newest first, as that
    is what people look at. Says how many intervals were summed up. Raises
    :class:`RepositoryUnavailableError`.
    """
    window = Window((start or _EVER).replace(second=0, microsecond=0), end)
    counts = snapshot.minute_counts(window)
    kept = _kept(window)
    there = dict(counts.iter_rows())
    IntervalTotals.objects.filter(time__in=kept.keys() - there.keys()).delete()
    changed = counts.filter(
        pl.Series(
            [kept.get(minute) != readings for minute, readings in there.items()], dtype=pl.Boolean
        )
    )
    for first, last in _stretches(changed):
        _sum_up(snapshot, first, last)
    return len(changed)


def _kept(window: Window) -> dict[datetime, int]:
    rows = IntervalTotals.objects.filter(time__gte=window.start)
    if window.end is not None:
        rows = rows.filter(time__lte=window.end)
    return dict(rows.values_list("time", "readings"))


def _stretches(changed: pl.DataFrame) -> Iterator[tuple[datetime, datetime]]:
    """First and last minutes of stretches that are worth one query each, the newest first."""
    number = (pl.col("readings").cum_sum() - 1) // READINGS_AT_ONCE
    stretches = (
        changed.with_columns(number.alias("number"))
        .group_by("number")
        .agg(pl.col("minute").min().alias("first"), pl.col("minute").max().alias("last"))
        .sort("number", descending=True)
    )
    yield from stretches.select("first", "last").iter_rows()


def _sum_up(snapshot: Snapshot, first: datetime, last: datetime) -> None:
    loads = snapshot.interval_totals(Window(first, last + LAST_MICROSECOND))
    IntervalTotals.objects.bulk_create(
        [
            IntervalTotals(time=minute, readings=readings, late=late, kw=kw)
            for minute, readings, late, kw in loads.iter_rows()
        ],
        update_conflicts=True,
        unique_fields=["time"],
        update_fields=["readings", "late", "kw"],
        batch_size=1_000,
    )


def time_prefix(length: int) -> Substr:
    """The first characters of the totals' time, to group by. SQLite would call Python for every row to truncate it."""
    return Substr(Cast("time", CharField()), 1, length)
