"""One version of a Delta table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import polars as pl

from readings import frame
from readings.cancellation import raise_if_cancelled
from readings.instants import LAST_INSTANT
from readings.records_json import Records
from readings.repositories.base import INTERVAL_TOTALS_SCHEMA, Snapshot
from readings.repositories.chunks import split_into_chunks
from readings.repositories.delta.data_files import DataFiles, collect
from readings.repositories.delta.day_cache import DayCache
from readings.repositories.delta.day_summaries import read_summaries, summarise_days
from readings.repositories.delta.few_meters import FewMeters
from readings.repositories.delta.file_counts import FileCounts
from readings.repositories.delta.file_kinds import Kind
from readings.repositories.delta.hourly_sums import COLUMNS as SUMMED_COLUMNS
from readings.repositories.delta.hourly_sums import complete_days, read_sums, without_days
from readings.repositories.delta.meter_copies import MeterCopies
from readings.repositories.delta.meter_rows import MAX_METERS
from readings.repositories.delta.meter_summaries import last_times_of_minutes, summarise_meters
from readings.repositories.delta.minute_reader import DeltaMinuteReader
from readings.repositories.delta.page_in_minute import page_in_minute, records_in_minute
from readings.repositories.delta.version_finder import VersionFinder
from readings.repositories.hourly_means import sum_by_hour, to_hourly_means
from readings.repositories.minute_index import minute_of_time
from readings.repositories.page import Page
from readings.repositories.page_finder import FRAME_READINGS, PageFinder
from readings.window import Position, Window

_MAX_METER_SETS_OF_A_QUERY = 8
"""If the minutes of a window have more different sets of meters than this, one scan of all of them is faster."""

_SUMMED = (*frame.VERSION, "kw", "kwh")
_READINGS_PER_SUM = 100_000
"""How many readings with corrections one query sums up. It compares their versions, which takes 500 bytes for each."""
_MAX_READINGS_SKIPPED = 50_000
"""Readings of a few meters before a page are read too. If they are more than this, they are counted."""


class DeltaSnapshot(Snapshot):
    """One version of the table. Its name is the version number."""

    reads_few_columns_faster = True

    def __init__(
        self,
        version: int,
        files: DataFiles,
        file_counts: FileCounts,
        hourly_sums: DayCache,
        day_summaries: DayCache,
        meter_copies: MeterCopies,
    ) -> None:
        self.name = str(version)
        self._files = files
        self._folder = files.folder
        self._file_counts = file_counts
        self._hourly_sums = hourly_sums
        self._day_summaries = day_summaries
        self._meter_copies = meter_copies
        self._versions = VersionFinder(files, file_counts)
        self._reader, self._finder = self._of_columns(frame.COLUMNS)

    def _of_columns(self, columns: Sequence[str]) -> tuple[DeltaMinuteReader, PageFinder]:
        reader = DeltaMinuteReader(self._files, self._file_counts, columns)
        return reader, PageFinder(reader, reads_ahead=self._folder.reads_ahead)

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
            reader, finder = self._of_columns(columns)
        page = (
            page_in_minute(self._versions, reader.columns, window, after, size) if after else None
        )
        if page is None:
            page = self._find_page(reader, finder, window, offset, size, after)
        return page if columns is frame.COLUMNS else page.select(columns)

    def next_records(
        self, window: Window, after: Position, *, size: int, offset: int
    ) -> Records | None:
        """See :meth:`Snapshot.next_records`. Pages within a minute without corrections come from cached text."""
        return records_in_minute(self._versions, window, after, size=size, offset=offset)

    def _find_page(
        self,
        reader: DeltaMinuteReader,
        finder: PageFinder,
        window: Window,
        offset: int,
        size: int,
        after: Position | None,
    ) -> Page:
        if after is not None:
            # Readings before the position's minute are not even counted.
            window = replace(window, start=max(window.start, after.time))
            offset = reader.count_up_to(window, after)
        else:
            window, offset = reader.without_first_days(window, offset)
        if 0 < len(window.device_ids) <= MAX_METERS and offset <= _MAX_READINGS_SKIPPED:
            readings = self._few_meters(reader).read(window, offset + size + 1)
            return Page.first_of(readings.slice(offset), size)
        return finder.page(window, offset=offset, size=size)

    def minute_counts(self, window: Window) -> pl.DataFrame:
        """See :meth:`Extract.minute_counts`."""
        self._reader.count_days(window)
        return self._finder.minute_counts(window)

    def frames(
        self,
        window: Window,
        *,
        columns: Sequence[str] = frame.COLUMNS,
        frame_readings: int = FRAME_READINGS,
    ) -> Iterator[pl.DataFrame]:
        """See :meth:`Extract.frames`. A frame holds about ``frame_readings`` readings."""
        self._reader.count_days(window)
        _, finder = self._of_columns(columns)
        for readings in finder.frames(window, frame_readings=frame_readings):
            # A selection is a query, and takes time even if it changes nothing.
            yield readings if readings.columns == columns else readings.select(columns)

    def versions(self, window: Window) -> Iterator[pl.DataFrame]:
        """See :meth:`Snapshot.versions`."""
        reader, _ = self._of_columns(frame.FULL_COLUMNS)
        counts = self.minute_counts(window.without_arrival_bounds())
        for chunk in split_into_chunks(counts, FRAME_READINGS):
            versions = reader.read_versions(window, chunk)
            if len(versions):
                yield versions

    def replaced_versions(self, window: Window) -> Iterator[pl.DataFrame]:
        """Yield those versions that are not valid, sorted by ``frame.VERSION``, with all columns.

        The window must bound the time only.
        """
        reader, _ = self._of_columns(frame.FULL_COLUMNS)
        revisions = self.minute_revisions(window)
        corrected = revisions.filter(pl.col("revision") > 0)["minute"]
        for chunk in split_into_chunks(revisions, FRAME_READINGS):
            if corrected.is_between(chunk.first_minute, chunk.last_minute).any():
                versions = reader.read_versions(window, chunk)
                newest = pl.col("arrival_time").max().over(frame.ORDER)
                yield versions.filter(pl.col("arrival_time") < newest)

    def minute_revisions(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.minute_revisions`. The revision is the number of versions that are not in main files."""
        counts = self.minute_counts(window)
        revisions = self._reader.revisions(window)
        return counts.join(revisions, on="minute", how="left", maintain_order="left").with_columns(
            pl.col("revision").fill_null(0)
        )

    def may_be_corrected(self, window: Window) -> bool:
        """See :meth:`Snapshot.may_be_corrected`. True if a file with other versions overlaps the window."""
        return any(
            self._files.overlapping(window.start, window.end or LAST_INSTANT, kind)
            for kind in (Kind.CORRECTIONS, Kind.REPLACED)
        )

    def interval_totals(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.interval_totals`.

        Readings are read only if their statistics are not stored, or if their minute has corrections.
        """
        described = self._reader.statistics(window)
        if described is None:
            counts = self.minute_counts(window)
            if counts.is_empty():
                return pl.DataFrame(schema=INTERVAL_TOTALS_SCHEMA)
            chunks = split_into_chunks(counts, _READINGS_PER_SUM)
            bounds = ((each.first_minute, each.last_minute) for each in chunks)
            scan = self._reader.scan
            return pl.concat(_sum_minutes(scan(window, *each, _SUMMED)) for each in bounds)
        corrected = self._reader.corrected_minutes(window)
        others = described.filter(~pl.col("minute").is_in(corrected)).select(
            *INTERVAL_TOTALS_SCHEMA
        )
        totals = others.group_by("minute").agg(pl.exclude("minute").sum())
        counts = described.group_by("minute").agg(pl.col("readings").sum()).sort("minute")
        counts = counts.filter(pl.col("minute").is_in(corrected))
        for chunk in split_into_chunks(counts, _READINGS_PER_SUM):
            minutes = [each for each in corrected if chunk.start <= each <= chunk.end]
            read = _sum_minutes(self._reader.scan_corrected(window, minutes, _SUMMED))
            totals = pl.concat([totals, read])
        return totals.sort("minute")

    def hourly_means(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.hourly_means`. Complete days come from the day cache if they are in it."""
        cached = self._hourly_sums.find(self._files.by_day)
        days = complete_days(window, cached)
        sums = (
            [read_sums(self._folder, [cached[day] for day in days], window.device_ids)]
            if days
            else []
        )
        reader, _ = self._of_columns(SUMMED_COLUMNS)
        sums += [sum_by_hour(self._readings(reader, rest)) for rest in without_days(window, days)]
        return to_hourly_means(collect(pl.concat(sums)))

    def last_times(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.last_times`."""
        described = self._reader.statistics(window)
        if described is not None and described["times"].eq(1).all():
            # Of the minutes with the same meters, the last one has their last time.
            newest = described.unique("meters", keep="last", maintain_order=True)
            if len(newest) <= _MAX_METER_SETS_OF_A_QUERY:
                return last_times_of_minutes(self._folder, newest)
        readings = self._reader.search_identities(window).group_by("device_id")
        return collect(readings.agg(pl.col("time").max().alias("last")))

    def reading_times(self, *windows: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.reading_times`. The readings are not counted first."""
        found = [frame.empty(frame.ORDER)]
        for window in windows:
            # One query for 1,000 windows would take five times as long, and could not be cancelled.
            raise_if_cancelled()
            found.append(collect(self._reader.search_identities(window)))
        return pl.concat(found)

    def meter_summaries(self, device_ids: Sequence[str]) -> pl.DataFrame:
        """See :meth:`Snapshot.meter_summaries`. Finished days are counted by the hourly sums of the day cache."""
        cached = self._hourly_sums.find(self._files.by_day)
        return summarise_meters(self._folder, cached, self._reader.search_identities, device_ids)

    def day_summaries(self) -> pl.DataFrame:
        """See :meth:`Snapshot.day_summaries`. Those of finished days come from the day cache if they are in it."""
        meters = pl.col("device_ids").list.len().cast(pl.Int64).alias("meters")
        summaries = self._summaries.with_columns(meters).drop("device_ids")
        return collect(summaries.sort("day"))

    def meter_count(self) -> int:
        """See :meth:`Snapshot.meter_count`."""
        # Most days have equal lists. Removing equal lists first is faster than counting the ids of all days.
        lists = self._summaries.select("device_ids").unique()
        device_ids = lists.select(pl.col("device_ids").explode())
        return int(collect(device_ids.select(pl.col("device_ids").drop_nulls().n_unique())).item())

    def read_newest_file(self) -> None:
        """Read the first row of the file with the newest readings, if there is a file.

        Raises :class:`RepositoryUnavailableError` if the file cannot be read.
        """
        if self._files.paths:
            collect(self._folder.scan(self._files.paths[-1:]).head(1))

    @cached_property
    def _summaries(self) -> pl.LazyFrame:
        by_day = self._files.by_day
        cached = self._day_summaries.find(by_day)
        others = {day: files for day, files in by_day.items() if day not in cached}
        return pl.concat(
            [
                read_summaries(self._folder, list(cached.values())),
                summarise_days(self._folder, others, self._file_counts),
            ]
        )

    def _few_meters(self, reader: DeltaMinuteReader) -> FewMeters:
        return FewMeters(self._files, self._versions, self._meter_copies, reader)

    def _readings(self, reader: DeltaMinuteReader, window: Window) -> pl.LazyFrame:
        """Return the window's readings, in no particular order."""
        if 0 < len(window.device_ids) <= MAX_METERS:
            return self._few_meters(reader).read(window).lazy()
        return reader.search(window)


def _sum_minutes(readings: pl.LazyFrame) -> pl.DataFrame:
    """Return the totals of readings by minute: :data:`INTERVAL_TOTALS_SCHEMA`, ascending."""
    return collect(
        readings.group_by(minute_of_time())
        .agg(
            pl.len().cast(pl.Int64).alias("readings"),
            frame.is_late().sum().cast(pl.Int64).alias("late"),
            pl.col("kw").sum(),
            pl.col("kwh").clip(lower_bound=0).sum().alias("import_kwh"),
            (-pl.col("kwh").clip(upper_bound=0)).sum().alias("export_kwh"),
        )
        .sort("minute")
    )
