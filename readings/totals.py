"""Keep the interval totals up to date with the repository. Only minutes that changed are read again."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import polars as pl
from django.db import DatabaseError, InterfaceError
from django.db.models import CharField
from django.db.models.functions import Cast, Substr

from readings.cancellation import raise_if_cancelled
from readings.instants import EARLIEST_INSTANT, latest_instant
from readings.meters import delete_meters_without_readings, record_meters
from readings.models import IntervalTotals
from readings.repositories import ReadingsRepository, Snapshot
from readings.repositories.chunks import Chunk, split_into_chunks
from readings.repository_errors import RepositoryUnavailableError
from readings.window import Window

log = logging.getLogger(__name__)

TOTALS_DELAY = timedelta(minutes=2)
"""An interval's readings are written and its total is updated within this time after the interval ends."""
READINGS_PER_QUERY = 3_000_000
"""About how many readings one query sums: a second of work."""
_ROWS_PER_STATEMENT = 1_000

MinuteState = tuple[int, int]
"""The number of readings of a minute, and its revision. The totals are summed again if one of them changes."""


def update_totals(
    snapshot: Snapshot,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    meters: bool = True,
) -> int:
    """Make the stored totals from ``start`` to ``end`` equal to those of the snapshot. Return how many changed.

    None means the bound of all instants: 1970, and ten years from now. The repository may hold readings with other
    dates from files of earlier releases. They have no totals, so no page of the portal shows them.

    ``start`` is rounded down to a whole minute. A minute with the same count and the same revision has the same totals
    and is not read. Totals of minutes without readings are deleted. The newest minutes are updated first, because
    operators look at them most.

    With ``meters``, the meters of changed minutes are recorded too, see :func:`record_meters`.

    Raises :class:`RepositoryUnavailableError`.
    """
    earliest, latest = EARLIEST_INSTANT, latest_instant()
    window = Window((start or earliest).replace(second=0, microsecond=0), end or latest)
    counts = snapshot.minute_revisions(window)
    found = {minute: (readings, revision) for minute, readings, revision in counts.iter_rows()}
    stored, recorded = _stored_counts(window)
    if start is None:
        IntervalTotals.objects.exclude(time__range=(earliest, latest)).delete()
    _delete(sorted(stored.keys() - found.keys()))
    is_changed = [stored.get(minute) != state for minute, state in found.items()]
    changed = counts.filter(pl.Series(is_changed, dtype=pl.Boolean))
    for chunk in reversed(split_into_chunks(changed, READINGS_PER_QUERY)):
        raise_if_cancelled()
        _store_totals(snapshot, chunk, found)
    if meters:
        is_new = [recorded.get(minute) != readings for minute, (readings, _) in found.items()]
        record_meters(snapshot, counts.filter(pl.Series(is_new, dtype=pl.Boolean)))
        if start is None:
            delete_meters_without_readings()
    return len(changed)


def update_totals_after_write(
    repository: ReadingsRepository, start: datetime, end: datetime
) -> None:
    """Update the totals of a window into which a command wrote readings, so that the portal shows them at once.

    If the database or the repository cannot be used, a scheduled task updates them later.
    """
    try:
        update_totals(repository.snapshot(), start, end)
    except (DatabaseError, InterfaceError, RepositoryUnavailableError) as error:
        log.warning("the interval totals are updated later", extra={"error": str(error)})


def _stored_counts(window: Window) -> tuple[dict[datetime, MinuteState], dict[datetime, int]]:
    """Return the state of each minute that has totals, and how many readings it had when its meters were recorded."""
    rows = IntervalTotals.objects.filter(time__gte=window.start)
    if window.end is not None:
        rows = rows.filter(time__lte=window.end)
    counts = list(rows.values_list("time", "readings", "revision", "recorded"))
    return (
        {time: (readings, revision) for time, readings, revision, _ in counts},
        {time: recorded for time, _, _, recorded in counts},
    )


def _delete(minutes: list[datetime]) -> None:
    # SQLite limits the variables of a statement.
    for start in range(0, len(minutes), _ROWS_PER_STATEMENT):
        some = minutes[start : start + _ROWS_PER_STATEMENT]
        IntervalTotals.objects.filter(time__in=some).delete()


def _store_totals(snapshot: Snapshot, chunk: Chunk, found: dict[datetime, MinuteState]) -> None:
    totals = snapshot.interval_totals(Window(chunk.start, chunk.end)).rename({"minute": "time"})
    # A minute that was written after the others were counted has no state yet. It is compared at the next update.
    IntervalTotals.objects.bulk_create(
        [
            IntervalTotals(revision=found.get(sums["time"], (0, 0))[1], **sums)
            for sums in totals.iter_rows(named=True)
        ],
        update_conflicts=True,
        unique_fields=["time"],
        update_fields=["readings", "late", "kw", "import_kwh", "export_kwh", "revision"],
        batch_size=_ROWS_PER_STATEMENT,
    )


def time_prefix(length: int) -> Substr:
    """Return an expression for the first ``length`` characters of ``IntervalTotals.time``, to group rows by.

    10 characters are the day, 13 the hour. It is used instead of ``TruncDay`` and ``TruncHour``, for which
    SQLite calls a Python function for each row.
    """
    return Substr(Cast("time", CharField()), 1, length)
