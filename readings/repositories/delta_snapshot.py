"""One version of a Delta table, read without ever numbering rows that are not returned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock

import polars as pl
from cachetools import LRUCache, cached

from readings import frame
from readings.repositories.base import Page, Snapshot
from readings.repositories.delta_files import (
    DataFiles,
    MinuteCounts,
    Rows,
    collected,
    minute_of,
    runs_of,
)
from readings.window import Position, Window

_MINUTE = timedelta(minutes=1)
_LAST_MICROSECOND = _MINUTE - timedelta(microseconds=1)

FRAME_READINGS = 250_000
"""About how many readings a frame of :meth:`Snapshot.frames` holds: some 30 MB."""
DECODED_BYTES = 256 * 2**20
"""How much memory a process spends on minutes it has decoded."""
_FEW_MINUTES = 4
_FEW_DOZEN_MINUTES = 64


@cached(LRUCache(DECODED_BYTES, pl.DataFrame.estimated_size), lock=Lock())
def decoded(rows: Rows) -> pl.DataFrame:
    """Readings in order. Data files never change, so what was decoded of them stays true."""
    return frame.in_order(collected(rows.scan()))


class DeltaSnapshot(Snapshot):
    """A version of the table; the version's number is its name."""

    def __init__(self, version: int, files: DataFiles, counts: MinuteCounts) -> None:
        self.name = str(version)
        self._files = files
        self._file_counts = counts

    def page(
        self, window: Window, *, offset: int, size: int, after: Position | None = None
    ) -> Page:
        """See :meth:`Snapshot.page`. With ``after``, rows before that minute are not even counted."""
        skip = offset
        if after is not None:
            window = replace(window, start=max(window.start, after.time))
            skip = self._rows_up_to(window, after)
        wanted = size + 1
        found: list[pl.DataFrame] = []
        for counts in self._count_stretches(window):
            ends = counts["readings"].cum_sum()
            total = int(ends[-1])
            if skip >= total:
                skip -= total
                continue
            first = int(ends.search_sorted(skip, side="right"))
            last = int(ends.search_sorted(min(skip + wanted, total), side="left"))
            before = int(ends[first] - counts["readings"][first])
            minutes = counts["minute"].slice(first, last - first + 1)
            rows = self._readings(window, minutes).slice(skip - before, wanted)
            found.append(rows)
            skip, wanted = 0, wanted - len(rows)
            if not wanted:
                break
        readings = pl.concat([frame.empty(), *found])
        return Page(readings.head(size), more=len(readings) > size)

    def counts(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.counts`."""
        return pl.concat(
            [
                pl.DataFrame(schema={"minute": frame.INSTANT, "readings": pl.Int64}),
                *self._count_stretches(window),
            ]
        )

    def frames(self, window: Window, *, about: int = FRAME_READINGS) -> Iterator[pl.DataFrame]:
        """See :meth:`Snapshot.frames`; each holds ``about`` so many readings."""
        counts = self.counts(window)
        stretches = (counts["readings"].cum_sum() - 1) // about
        for stretch in counts.with_columns(stretches.alias("stretch")).partition_by(
            "stretch", maintain_order=True
        ):
            readings = frame.in_order(collected(self._scan(window, stretch["minute"])))
            if len(readings):
                yield readings

    def days(self) -> pl.DataFrame:
        """See :meth:`Snapshot.days`."""
        day = pl.col("time").dt.date().alias("day")
        summary = {
            "earliest": pl.col("time").min(),
            "latest": pl.col("time").max(),
            "readings": pl.len().cast(pl.Int64),
            "intervals": pl.col("time").n_unique().cast(pl.Int64),
            "meters": pl.col("device_id").n_unique().cast(pl.Int64),
        }
        named = [expression.alias(name) for name, expression in summary.items()]
        return collected(self._everything().group_by(day).agg(named).sort("day"))

    def meters(self) -> int:
        """See :meth:`Snapshot.meters`."""
        meters = self._everything().select(pl.col("device_id").n_unique())
        return int(collected(meters).item())

    def _everything(self) -> pl.LazyFrame:
        return pl.scan_parquet(self._files.paths) if self._files.paths else frame.empty().lazy()

    @cached_property
    def _minutes_by_file(self) -> pl.DataFrame:
        return self._file_counts.of(self._files.paths)

    @cached_property
    def _minutes(self) -> pl.DataFrame:
        """A row a minute, ascending: how many readings, and the span of their two times."""
        return (
            self._minutes_by_file.group_by("minute")
            .agg(
                pl.col("readings").sum(),
                pl.col("first", "first_arrival").min(),
                pl.col("last", "last_arrival").max(),
            )
            .sort("minute")
        )

    def _count_stretches(self, window: Window) -> Iterator[pl.DataFrame]:
        """The window's counts by minute, in stretches without empty ones.

        A minute that lies in the window whole is counted already. The others are counted by
        reading them, first a few and then ever more, as most callers stop early.
        """
        minutes = self._minutes.filter(
            pl.col("last") >= window.start,
            pl.col("first") <= window.end if window.end is not None else pl.lit(True),  # noqa: FBT003 (a literal column)
            *_arrival_overlaps(window),
        ).with_columns(_lies_whole_in(window).alias("whole"))
        start, length = 0, len(minutes) if minutes["whole"].all() else _FEW_DOZEN_MINUTES
        while start < len(minutes):
            counts = self._counted(window, minutes.slice(start, length))
            if len(counts):
                yield counts
            start, length = start + length, length * 2

    def _counted(self, window: Window, minutes: pl.DataFrame) -> pl.DataFrame:
        partial = minutes.with_row_index().filter(~pl.col("whole"))["index"]
        known = minutes.select("minute", "readings")
        if partial.is_empty():
            return known
        first, last = partial[0], partial[-1] + 1
        read = (
            self._scan(window, minutes["minute"].slice(first, last - first))
            .group_by(minute_of().alias("minute"))
            .agg(pl.len().cast(pl.Int64).alias("readings"))
            .sort("minute")
        )
        return pl.concat([known.head(first), collected(read), known.slice(last)])

    def _rows_up_to(self, window: Window, position: Position) -> int:
        minute = pl.Series([position.time], dtype=frame.INSTANT).dt.truncate("1m")
        readings = self._readings(window, minute)
        passed = (pl.col("time") < position.time) | (
            (pl.col("time") == position.time) & (pl.col("device_id") <= position.device_id)
        )
        return int(readings.select(passed.sum()).item())

    def _readings(self, window: Window, minutes: pl.Series) -> pl.DataFrame:
        """The window's readings in some minutes; few whole ones are kept decoded for the next page."""
        if window.device_ids or len(minutes) > _FEW_MINUTES:
            return frame.in_order(collected(self._scan(window, minutes)))
        frames = [decoded(self._rows(minute, minute)) for minute in minutes]
        return pl.concat(frames).filter(window.predicate())

    def _scan(self, window: Window, minutes: pl.Series) -> pl.LazyFrame:
        """The window's readings from the first to the last of some minutes, in no order."""
        rows = self._rows(minutes[0], minutes[-1])
        if window.device_ids:
            # Of a few meters' readings a search decodes less than all that lies between.
            rows = replace(rows, runs=None)
        return rows.scan().filter(window.predicate())

    def _rows(self, first: datetime, last: datetime) -> Rows:
        """Where the readings of the minutes from ``first`` to ``last`` lie."""
        counts = self._minutes_by_file.filter(pl.col("minute").is_between(first, last))
        end = last + _LAST_MICROSECOND
        return Rows(self._files.spanning(first, end), first, end, runs_of(counts))


def _arrival_overlaps(window: Window) -> list[pl.Expr]:
    overlaps = []
    if window.as_of is not None:
        overlaps.append(pl.col("first_arrival") <= window.as_of)
    if window.arrived_after is not None:
        overlaps.append(pl.col("last_arrival") > window.arrived_after)
    return overlaps


def _lies_whole_in(window: Window) -> pl.Expr:
    whole = (pl.col("first") >= window.start) & pl.lit(not window.device_ids)
    if window.end is not None:
        whole &= pl.col("last") <= window.end
    if window.as_of is not None:
        whole &= pl.col("last_arrival") <= window.as_of
    if window.arrived_after is not None:
        whole &= pl.col("first_arrival") > window.arrived_after
    return whole
