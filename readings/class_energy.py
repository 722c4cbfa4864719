"""Keep the energy of each customer class up to date with the repository, for the portal: one row per hour and class.

A class is known for meters of the simulated fleet only, so other deployments have no rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
from django.conf import settings
from django.db import transaction
from django.db.models import Max, Sum

from readings.cancellation import raise_if_cancelled
from readings.engines import engine_of
from readings.ingest.deployment_fleet import customer_class_of, deployment_fleet
from readings.models import ClassEnergy, IntervalTotals
from readings.repositories import Snapshot
from readings.totals import READINGS_PER_QUERY
from readings.window import RESOLUTION, Window

MAX_QUERIES = 60
"""How many queries one call runs at most, so that other tasks get their turn."""
_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)
_ROWS_PER_STATEMENT = 1_000
_SECONDS_PER_HOUR = 3600

HourState = tuple[int, int]
"""The number of readings of an hour, and its revision: the sum of the revisions of its minutes."""


def class_energy_is_kept() -> bool:
    """Return whether this deployment's meters have customer classes, and its engine does not charge for reading."""
    is_free = engine_of(settings.READINGS_URL).capabilities.counts_for_free
    return bool(settings.SIMULATION) and is_free and deployment_fleet().profile == "mixed"


def update_class_energy(snapshot: Snapshot, start: datetime | None = None) -> int:
    """Make the energy by class equal to that of the snapshot, from the hour of ``start`` on.

    Return how many hours were updated.

    An interval belongs to the hour in which it lies, so the one that ends on the hour belongs to the hour before. An
    hour is read only if it has energy and its interval totals have changed. The newest hours are read first. After
    :data:`MAX_QUERIES`, the next call continues. The interval totals must be up to date with the same snapshot.

    Raises :class:`RepositoryUnavailableError`.
    """
    if not class_energy_is_kept():
        return 0
    first = None if start is None else _hour_of(start)
    current, stored = _hours_with_energy(first), _stored_hours(first)
    _delete(stored.keys() - current.keys())
    changed = sorted(hour for hour, state in current.items() if stored.get(hour) != state)
    newest = list(_consecutive(changed, current))[: -MAX_QUERIES - 1 : -1]
    for hours in newest:
        raise_if_cancelled()
        _store(_energy_by_class(snapshot, hours[0], hours[-1]), hours, current)
    return sum(len(hours) for hours in newest)


def _hour_of(time: datetime) -> datetime:
    """Return the start of the hour in which the interval lies that ends at ``time``."""
    return (time - RESOLUTION).astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _hours_with_energy(first: datetime | None) -> dict[datetime, HourState]:
    """Return the state of each hour from ``first`` on, according to the interval totals."""
    totals = IntervalTotals.objects.order_by()
    if first is not None:
        totals = totals.filter(time__gt=first)
    # Hours are counted since 1970, because a year has 105,120 intervals, and calculations with datetimes are slow.
    states: dict[int, HourState] = {}
    with_energy = set()
    columns = totals.values_list("time", "readings", "revision", "import_kwh", "export_kwh")
    for time, readings, revision, imported, exported in columns.iterator():
        hour = int(time.timestamp() - 1) // _SECONDS_PER_HOUR
        before = states.get(hour, (0, 0))
        states[hour] = before[0] + readings, before[1] + revision
        if imported or exported:
            with_energy.add(hour)
    return {
        datetime.fromtimestamp(hour * _SECONDS_PER_HOUR, UTC): states[hour] for hour in with_energy
    }


def _stored_hours(first: datetime | None) -> dict[datetime, HourState]:
    rows = ClassEnergy.objects.order_by()
    if first is not None:
        rows = rows.filter(hour__gte=first)
    states = rows.values("hour").annotate(total=Sum("readings"), newest=Max("revision"))
    return {
        hour: (total, newest)
        for hour, total, newest in states.values_list("hour", "total", "newest")
    }


def _delete(hours: Iterable[datetime]) -> None:
    # SQLite limits the variables of a statement.
    listed = sorted(hours)
    for start in range(0, len(listed), _ROWS_PER_STATEMENT):
        ClassEnergy.objects.filter(hour__in=listed[start : start + _ROWS_PER_STATEMENT]).delete()


def _consecutive(
    hours: Iterable[datetime], states: dict[datetime, HourState]
) -> Iterator[list[datetime]]:
    """Yield lists of consecutive hours, each with at most about :data:`READINGS_PER_QUERY` readings.

    ``hours`` are ascending.
    """
    chunk: list[datetime] = []
    readings = 0
    for hour in hours:
        readings += states[hour][0]
        if chunk and (chunk[-1] + _HOUR != hour or readings > READINGS_PER_QUERY):
            yield chunk
            chunk, readings = [], states[hour][0]
        chunk.append(hour)
    if chunk:
        yield chunk


def _energy_by_class(snapshot: Snapshot, first: datetime, last: datetime) -> pl.DataFrame:
    """Return the energy of the hours from ``first`` to ``last``.

    Columns ``hour``, ``customer_class`` (empty for a meter without class), ``readings``, ``import_kwh``,
    ``export_kwh``.
    """
    window = Window(first + _MINUTE, last + _HOUR + _MINUTE - RESOLUTION)
    hour = (pl.col("time").dt.truncate("1m") - RESOLUTION).dt.truncate("1h").alias("hour")
    parts = [
        readings.group_by(hour, "device_id").agg(
            pl.len().cast(pl.Int64).alias("readings"),
            pl.col("kwh").clip(lower_bound=0).sum().alias("import_kwh"),
            (-pl.col("kwh").clip(upper_bound=0)).sum().alias("export_kwh"),
        )
        for readings in snapshot.frames(window, columns=["time", "device_id", "kwh"])
    ]
    if not parts:
        return pl.DataFrame()
    sums = pl.concat(parts)
    meters = sums.select("device_id").unique()
    names = [name or "" for name in customer_class_of(meters["device_id"])]
    classes = meters.with_columns(pl.Series("customer_class", names, pl.String))
    by_class = sums.join(classes, on="device_id").drop("device_id")
    return by_class.group_by("hour", "customer_class").sum()


def _store(energy: pl.DataFrame, hours: list[datetime], states: dict[datetime, HourState]) -> None:
    rows = [
        ClassEnergy(revision=states.get(row["hour"], (0, 0))[1], **row)
        for row in energy.iter_rows(named=True)
    ]
    with transaction.atomic():
        _delete(hours)
        ClassEnergy.objects.bulk_create(rows, batch_size=_ROWS_PER_STATEMENT)
