"""What each meter's hours come to, kept beside the table for the days that have settled.

A meter's readings lie among those of all the others, in every interval of a day: a year of one meter would be
searched for in 105,120 places, the hours kept here in 365. A file of them is made of certain data files,
which never change, and its name tells which; a day that has changed since has no file of that name, and is read itself.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from readings.repositories.base import HOURS_SCHEMA
from readings.window import DAY, GRAIN, Window, window_of

FOLDER = "_hours"
"""Within the table's folder. Delta leaves alone what begins with an underscore."""
MEASURED = list(HOURS_SCHEMA)[3:]
_COUNTS = ["readings", "late"]
_ROW_GROUP = 24_000
"""A thousand meters' day."""
_OUT_OF_USE_SECONDS = 3600
"""How long a file is left that no day has any more: somebody may be about to read it."""


def sums_by(by: Iterable[str], readings: pl.LazyFrame) -> pl.LazyFrame:
    """Counts of readings and sums of what they measured, by the hour and more."""
    return (
        readings.with_columns(
            pl.col("time").dt.truncate("1h").alias("hour"),
            pl.lit(1, pl.Int64).alias("readings"),
            (pl.col("arrival_time") > pl.col("time")).cast(pl.Int64).alias("late"),
        )
        .group_by(*by, "hour")
        .agg(pl.col(_COUNTS + MEASURED).sum())
    )


def means(sums: pl.DataFrame) -> pl.DataFrame:
    """Sums of distinct hours as columns of :data:`HOURS_SCHEMA`, ascending."""
    return (
        sums.with_columns(pl.col(MEASURED).cast(pl.Float64) / pl.col("readings"))
        .select(pl.col(name).cast(kind) for name, kind in HOURS_SCHEMA.items())
        .sort("hour")
    )


class MeterHours:
    """The files of a table's settled days."""

    def __init__(self, root: str) -> None:
        self._folder = Path(root) / FOLDER

    def of(self, day: date, files: Sequence[str]) -> Path | None:
        """Where the hours of a day lie that consists of these data files, if they are kept."""
        path = self._path(day, files)
        return path if path.exists() else None

    def keep(self, day: date, files: Sequence[str], readings: Iterable[pl.DataFrame]) -> None:
        """Sum up a day's readings, frame by frame. The file appears whole or not at all."""
        some = [sums_by(["device_id"], each.lazy()).collect() for each in readings]
        hours = pl.concat(some).group_by("device_id", "hour").sum().sort("device_id", "hour")
        self._folder.mkdir(exist_ok=True)
        aside = self._folder / f".{uuid.uuid4()}"
        # Single precision holds seven digits, more than a mean's, in half the room.
        hours.with_columns(pl.col(MEASURED).cast(pl.Float32)).write_parquet(
            aside, compression="zstd", row_group_size=_ROW_GROUP
        )
        aside.replace(self._path(day, files))

    def forget_all_but(self, kept: Collection[Path]) -> int:
        """Remove what no day has any more; says how many files."""
        out_of_use = time.time() - _OUT_OF_USE_SECONDS
        others = [path for path in self._files() if path not in kept]
        old = [path for path in others if path.stat().st_mtime < out_of_use]
        for path in old:
            path.unlink()
        return len(old)

    def _files(self) -> list[Path]:
        return list(self._folder.iterdir()) if self._folder.exists() else []

    def _path(self, day: date, files: Sequence[str]) -> Path:
        names = "\n".join(sorted(Path(file).name for file in files))
        made_of = hashlib.sha256(names.encode()).hexdigest()[:32]
        return self._folder / f"{day.isoformat()}-{made_of}.parquet"


def read(paths: Sequence[Path], device_ids: Sequence[str]) -> pl.LazyFrame:
    """The kept sums of some meters, or of all, by the hour."""
    hours = pl.scan_parquet(list(paths))
    if device_ids:
        hours = hours.filter(pl.col("device_id").is_in(list(device_ids)))
    return (
        hours.with_columns(pl.col(MEASURED).cast(pl.Float64))
        .group_by("hour")
        .agg(pl.col(_COUNTS + MEASURED).sum())
    )


def within(window: Window, days: Iterable[date]) -> list[date]:
    """The days that lie in the window whole, ascending; none if it bounds the arrival."""
    if window.arrived_after is not None or window.as_of is not None:
        return []
    end = window.end or datetime.max.replace(tzinfo=UTC)
    whole = [(day, window_of(day)) for day in sorted(days)]
    return [day for day, each in whole if window.start <= each.start and (each.end or end) <= end]


def without(window: Window, days: Iterable[date]) -> Iterator[Window]:
    """What is left of a window when some days, ascending, are taken out of it."""
    start = window.start
    for day in days:
        midnight = window_of(day).start
        if start < midnight:
            yield replace(window, start=start, end=midnight - GRAIN)
        start = midnight + DAY
    if window.end is None or start <= window.end or start == window.start:
        yield replace(window, start=start)
