"""The current state of the table, and extracts: what was written up to an instant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import polars as pl

from readings import frame
from readings.instants import EARLIEST_INSTANT
from readings.repositories.base import (
    HOURLY_MEANS_SCHEMA,
    INTERVAL_TOTALS_SCHEMA,
    METER_SUMMARIES_SCHEMA,
    Extract,
    Snapshot,
)
from readings.repositories.chunks import split_into_chunks
from readings.repositories.clickhouse.chunk_reader import ChunkReader, read_versions
from readings.repositories.clickhouse.client import Client
from readings.repositories.clickhouse.counts import DayResults, TableState
from readings.repositories.clickhouse.minute_reader import (
    COUNTED_VERSIONS_SCHEMA,
    ClickHouseMinuteReader,
    count_readings,
)
from readings.repositories.clickhouse.sql import Statements
from readings.repositories.minute_index import MINUTE_COUNTS_SCHEMA, clip
from readings.repositories.page import Page
from readings.repositories.page_finder import FRAME_READINGS, PageFinder
from readings.window import Position, Window

CURRENT = "table"
"""The name of every snapshot: the table keeps no versions."""
_LAST_TIMES_SCHEMA = {"device_id": pl.String(), "last": frame.INSTANT}
DAY_SUMMARY_SCHEMA = {
    "earliest": frame.INSTANT,
    "latest": frame.INSTANT,
    "readings": pl.Int64(),
    "intervals": pl.Int64(),
    "meters": pl.Int64(),
}


class ClickHouseSnapshot(Snapshot):
    """The current state of the table. Readings that are written later may become visible in it."""

    name = CURRENT

    def __init__(
        self,
        statements: Statements,
        client: Client,
        state: TableState,
        reader: ClickHouseMinuteReader,
        summaries: DayResults[pl.DataFrame],
    ) -> None:
        self._statements = statements
        self._client = client
        self._state = state
        self._reader = reader
        self._finder = PageFinder(reader)
        self._summaries = summaries

    def shows_same_days(self, other: Snapshot) -> bool:
        """Return whether no day has changed between this snapshot and another one."""
        return isinstance(other, ClickHouseSnapshot) and self._state == other._state

    def page(
        self,
        window: Window,
        *,
        offset: int,
        size: int,
        after: Position | None = None,
        columns: Sequence[str] = frame.COLUMNS,
    ) -> Page:
        """See :meth:`Snapshot.page`."""
        reader, finder = self._reader, self._finder
        if columns is not frame.COLUMNS:
            reader = reader.with_columns(columns)
            finder = PageFinder(reader)
        if window.device_ids:
            # One reading more tells whether another page follows.
            readings = reader.read_meters(window, skip=offset, limit=size + 1, after=after)
            return Page.first_of(readings, size)
        if after is not None:
            return finder.page_after(window, after, size=size, reader=reader)
        return finder.page(window, offset=offset, size=size)

    def minute_counts(self, window: Window) -> pl.DataFrame:
        """See :meth:`Extract.minute_counts`."""
        return self._finder.minute_counts(window)

    def frames(
        self,
        window: Window,
        *,
        columns: Sequence[str] = frame.COLUMNS,
        frame_readings: int = FRAME_READINGS,
    ) -> Iterator[pl.DataFrame]:
        """See :meth:`Extract.frames`."""
        reader = ChunkReader(self._statements, self._client, columns)
        parts = self._parts(window, frame_readings)
        return reader.read((part, self._reader.has_corrections(part)) for part in parts)

    def versions(self, window: Window) -> Iterator[pl.DataFrame]:
        """See :meth:`Snapshot.versions`."""
        return read_versions(self._client, self._statements, self._parts(window))

    def minute_revisions(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.minute_revisions`. A revision is the number of corrections."""
        corrections = self._reader.corrections(window).rename({"corrections": "revision"})
        counts = self.minute_counts(window)
        revision = pl.col("revision").fill_null(0)
        return counts.join(corrections, on="minute", how="left").with_columns(revision)

    def interval_totals(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.interval_totals`."""
        query = self._statements.interval_totals(window, corrected=self.may_be_corrected(window))
        return self._client.frame(query, INTERVAL_TOTALS_SCHEMA)

    def hourly_means(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.hourly_means`."""
        query = self._statements.hourly_means(window, corrected=self.may_be_corrected(window))
        return self._client.frame(query, HOURLY_MEANS_SCHEMA)

    def may_be_corrected(self, window: Window) -> bool:
        """See :meth:`Snapshot.may_be_corrected`."""
        if window.device_ids:
            return self._reader.meters_have_corrections(window)
        return self._reader.has_corrections(window)

    def _parts(self, window: Window, readings: int = FRAME_READINGS) -> Iterator[Window]:
        for chunk in split_into_chunks(self.minute_counts(window), readings):
            yield clip(window, chunk.first_minute, chunk.last_minute)

    def last_times(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.last_times`."""
        return self._client.frame(self._statements.last_times(window), _LAST_TIMES_SCHEMA)

    def reading_times(self, *windows: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.reading_times`."""
        schema = {name: frame.SCHEMA[name] for name in frame.ORDER}
        return self._client.frame(self._statements.reading_times(windows), schema)

    def meter_summaries(self, device_ids: Sequence[str]) -> pl.DataFrame:
        """See :meth:`Snapshot.meter_summaries`."""
        window = Window(EARLIEST_INSTANT, device_ids=tuple(device_ids))
        return self._client.frame(self._statements.meter_summaries(window), METER_SUMMARIES_SCHEMA)

    def day_summaries(self) -> pl.DataFrame:
        """See :meth:`Snapshot.day_summaries`."""
        schema = {"day": pl.Date(), **DAY_SUMMARY_SCHEMA}
        days = [
            self._summaries.get(day, state).select(pl.lit(day).alias("day"), pl.all())
            for day, state in self._state.between()
        ]
        return pl.concat([pl.DataFrame(schema=schema), *days])

    def meter_count(self) -> int:
        """See :meth:`Snapshot.meter_count`."""
        meters = self._client.frame(self._statements.meter_count(), {"meters": pl.Int64()})
        return int(meters.item())


class ClickHouseExtract(Extract):
    """The readings that were written up to an instant of the server's clock.

    No insert can add readings to it: inserts that started before the instant had ended when it was created. A merge
    deletes only readings that were written later than the reading that stays.
    """

    def __init__(self, name: str, statements: Statements, client: Client, until: datetime) -> None:
        self.name = name
        self._statements = statements
        self._client = client
        self._until = until

    def minute_counts(self, window: Window) -> pl.DataFrame:
        """See :meth:`Extract.minute_counts`."""
        counts = count_readings(self._client, self._statements, window, self._until)
        return counts.select(*MINUTE_COUNTS_SCHEMA)

    def frames(
        self, window: Window, *, columns: Sequence[str] = frame.COLUMNS
    ) -> Iterator[pl.DataFrame]:
        """See :meth:`Extract.frames`."""
        # The counts only set the size of chunks and may be inexact. Without FINAL, they take a quarter of the time.
        query = self._statements.count_versions(window, written_until=self._until, final=False)
        counts = self._client.frame(query, COUNTED_VERSIONS_SCHEMA)
        corrected = counts.filter(pl.col("corrections") > 0)["minute"]
        reader = ChunkReader(self._statements, self._client, columns, self._until)
        return reader.read(
            (
                clip(window, chunk.first_minute, chunk.last_minute),
                bool(corrected.is_between(chunk.first_minute, chunk.last_minute).any()),
            )
            for chunk in split_into_chunks(counts, FRAME_READINGS)
        )
