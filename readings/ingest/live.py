"""The live fleet: writes the simulated readings of each interval when they are due.

After a pause it catches up, but not by more than :data:`MAX_CATCH_UP`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby

import polars as pl

from readings.models import AwaitedInterval, LiveArrival
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import Arrival, arrivals_between, readings_in_arrival
from readings.simulation.fleet import Fleet
from readings.window import Window

log = logging.getLogger(__name__)

MAX_CATCH_UP = timedelta(days=1)
"""How far back missed readings are written after a pause. `manage.py backfill` writes older ones."""
_CATCH_UP_TIME = timedelta(hours=1)
"""How long writing the missed readings of a day may take. Usually it takes minutes."""
KEEP_RECORDS = timedelta(days=7)
"""How long records are kept. With a delivery curve, the latest readings arrive three days after their interval."""


def write_due_readings(fleet: Fleet, repository: ReadingsRepository, now: datetime) -> int:
    """Write all readings that are due at ``now`` and not stored yet. Return how many were new.

    Each due instant is written as one frame and then recorded as a ``LiveArrival``. A process that is
    killed between the two writes the same frame again next time, which changes nothing.

    Raises :class:`RepositoryUnavailableError` and :class:`ReadingsRefusedError`. Instants before the
    failed one are stored and recorded.
    """
    total = 0
    due = arrivals_between(fleet, _last_written(fleet, repository, now), now)
    for at, arrivals in groupby(due, key=lambda arrival: arrival.at):
        frames = list(_frames_to_write(fleet, repository, arrivals))
        new = repository.write(pl.concat(frames)) if frames else 0
        LiveArrival.objects.get_or_create(at=at, defaults={"readings": new})
        log.info("due readings are written", extra={"due_at": at.isoformat(), "readings": new})
        total += new
    return total


def first_due_arrival(
    fleet: Fleet, repository: ReadingsRepository, now: datetime
) -> datetime | None:
    """Return the first instant at which readings are due and perhaps not stored yet, or None."""
    last = _newest_record(now)
    if last is None:
        # A new deployment continues after its backfill, and has nothing to catch up.
        last = _last_without_records(fleet, repository, now)
    else:
        # A catch-up that began earlier may still write readings that are older than MAX_CATCH_UP by now.
        last = max(last, now - _CATCH_UP_TIME - MAX_CATCH_UP)
    due = arrivals_between(fleet, last, now)
    return due[0].at if due else None


def record_awaited_intervals(times: Iterable[datetime]) -> None:
    """Record intervals of which a backfill has stored nothing yet, so that their late readings are written."""
    rows = [AwaitedInterval(time=time) for time in times]
    AwaitedInterval.objects.bulk_create(rows, ignore_conflicts=True)


def delete_records_before(instant: datetime) -> None:
    """Delete the rows of ``LiveArrival`` and ``AwaitedInterval`` before ``instant``. Readings are not deleted."""
    LiveArrival.objects.filter(at__lt=instant).delete()
    AwaitedInterval.objects.filter(time__lt=instant).delete()


def _last_written(fleet: Fleet, repository: ReadingsRepository, now: datetime) -> datetime:
    """Return the instant after which readings are due."""
    last = _newest_record(now)
    if last is None:
        return _last_without_records(fleet, repository, now)
    return max(last, now - MAX_CATCH_UP)


def _last_without_records(fleet: Fleet, repository: ReadingsRepository, now: datetime) -> datetime:
    """Return the instant after which readings of a new deployment are due.

    It is the newest interval of the last day that a backfill has written, so that the deployment continues it. If there
    is none, the first readings are those of the newest interval.
    """
    day = Window(now - MAX_CATCH_UP, now)
    awaited = AwaitedInterval.objects.filter(time__range=(day.start, now))
    written = [
        *repository.snapshot().minute_counts(day)["minute"][-1:],
        *awaited.values_list("time", flat=True)[:1],
    ]
    return max(written, default=fleet.newest_interval(now) - fleet.interval)


def _newest_record(now: datetime) -> datetime | None:
    """Return the last recorded instant. Records from the future were written while the clock was ahead."""
    return LiveArrival.objects.filter(at__lte=now).values_list("at", flat=True).first()


def _frames_to_write(
    fleet: Fleet, repository: ReadingsRepository, arrivals: Iterator[Arrival]
) -> Iterator[pl.DataFrame]:
    for arrival in arrivals:
        # If the deployment did not exist at the time of an interval, its late readings are skipped.
        if not arrival.late or _is_known(repository, arrival.time):
            yield readings_in_arrival(fleet, arrival)


def _is_known(repository: ReadingsRepository, time: datetime) -> bool:
    """Return whether an interval was written by the live fleet or a backfill.

    During an outage, no reading of an interval arrives on time. Then only the database knows that it was written.
    """
    if LiveArrival.objects.filter(at=time).exists():
        return True
    if AwaitedInterval.objects.filter(time=time).exists():
        return True
    return len(repository.snapshot().minute_counts(Window(time, time))) > 0
