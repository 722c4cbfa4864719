"""Keep the interval totals up to date with the repository. Only minutes whose count changed are read again."""

from __future__ import annotations

from datetime import datetime

import polars as pl
from django.db.models import CharField
from django.db.models.functions import Cast, Substr

from readings.frame import FIRST_INSTANT
from readings.models import IntervalTotals
from readings.repositories import Snapshot
from readings.repositories.chunks import Chunk, split_into_chunks
from readings.window import Window

READINGS_PER_QUERY = 3_000_000
"""About how many readings one query sums: a second of work."""


def update_totals(
    snapshot: Snapshot, start: datetime | None = None, end: datetime | None = None
) -> int:
    """Make the stored totals from ``start`` to ``end`` equal to those of the snapshot. Return how many changed.

    None means no bound. ``start`` is rounded down to a whole minute. A stored reading never changes, so a
    minute with the same count has the same totals and is not read. Totals of minutes without readings are
    deleted. The newest minutes are updated first, because people look at them.

    Raises :class:`RepositoryUnavailableError`.
    """
    window = Window((start or FIRST_INSTANT).replace(second=0, microsecond=0), end)
    counts = snapshot.minute_counts(window)
    readings_of_minute = dict(counts.iter_rows())
    stored = _stored_counts(window)
    IntervalTotals.objects.filter(time__in=stored.keys() - readings_of_minute.keys()).delete()
    is_changed = [stored.get(minute) != count for minute, count in readings_of_minute.items()]
    changed = counts.filter(pl.Series(is_changed, dtype=pl.Boolean))
    for chunk in reversed(split_into_chunks(changed, READINGS_PER_QUERY)):
        _store_totals(snapshot, chunk)
    return len(changed)


def _stored_counts(window: Window) -> dict[datetime, int]:
    rows = IntervalTotals.objects.filter(time__gte=window.start)
    if window.end is not None:
        rows = rows.filter(time__lte=window.end)
    return dict(rows.values_list("time", "readings"))


def _store_totals(snapshot: Snapshot, chunk: Chunk) -> None:
    totals = snapshot.interval_totals(Window(chunk.start, chunk.end))
    IntervalTotals.objects.bulk_create(
        [
            IntervalTotals(time=minute, readings=readings, late=late, kw=kw)
            for minute, readings, late, kw in totals.iter_rows()
        ],
        update_conflicts=True,
        unique_fields=["time"],
        update_fields=["readings", "late", "kw"],
        batch_size=1_000,
    )


def time_prefix(length: int) -> Substr:
    """Return an expression for the first ``length`` characters of ``IntervalTotals.time``, to group rows by.

    10 characters are the day, 13 the hour. It is used instead of ``TruncDay`` and ``TruncHour``, for which
    SQLite calls a Python function for each row.
    """
    return Substr(Cast("time", CharField()), 1, length)
