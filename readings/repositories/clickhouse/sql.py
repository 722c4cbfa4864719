"""The SQL of the ClickHouse repository. Every value is a bound parameter or a row of an external table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl

from readings import frame
from readings.repositories.clickhouse.address import TABLE
from readings.repositories.clickhouse.query import (
    INSTANT,
    Query,
    any_of,
    as_text,
    conditions,
    identifier,
)
from readings.window import Position, Window

STORED_SCHEMA = {name: kind for name, kind in frame.FULL_SCHEMA.items() if name != "measure_name"}
"""The columns that are stored and queried. The measure name is the same in all readings."""
_KEYS = "new_readings"
_BEGIN = "toDateTime64(begin, 6, 'UTC')"
"""Converted, because in Arrow the result of ``toStartOfMinute`` is a number of seconds."""
_BY_MINUTE = "GROUP BY toStartOfMinute(time) AS begin ORDER BY begin"
_BY_HOUR = "GROUP BY toStartOfHour(time) AS begin ORDER BY begin"
_IN_ORDER = "ORDER BY time, device_id"
_VALID = "ORDER BY time, device_id, arrival_time DESC, written LIMIT 1 BY time, device_id"
"""Selects, in order, the valid version of each reading among those that meet the conditions on the arrival time."""
_VERSIONS = (
    "ORDER BY time, device_id, arrival_time, written LIMIT 1 BY time, device_id, arrival_time"
)
_IS_CORRECTION = "toUnixTimestamp64Micro(correction) != 0"
_CORRECTIONS = f"countIf({_IS_CORRECTION})"
_LATE = "countIf(arrival_time > time) AS late"
_NULLS = {pl.Float64(): "Nullable(Float64)", pl.String(): "Nullable(String)"}


def _list(columns: Iterable[str]) -> str:
    return ", ".join(identifier(name) for name in columns)


def _sum(value: str) -> str:
    """Return the sum of a value that may be null, 0 if it is null in all rows."""
    return f"ifNull(sum({value}), 0)"


class Statements:
    """The statements about the readings of one database.

    Each method returns a query; its docstring says what the query returns or does. ``FINAL`` returns each version of a
    reading once, even if several processes have inserted it. ``corrected`` says whether readings of the window may have
    several versions. If not, the query is simpler. :meth:`rows` uses no ``FINAL``, and takes less time.
    """

    def __init__(self, database: str, missing: Collection[str] = ()) -> None:
        """``missing`` are the columns of ``frame.FURTHER_SCHEMA`` that the table does not have: queries return null."""
        self.table = f"{identifier(database)}.{identifier(TABLE)}"
        nulls = [
            f"CAST(NULL, '{_NULLS[frame.FURTHER_SCHEMA[name]]}') AS {identifier(name)}"
            for name in missing
        ]
        self._nulls = f"WITH {', '.join(nulls)} " if nulls else ""

    def minute_index(self, window: Window) -> Query:
        """Return the columns of ``MINUTE_INDEX_SCHEMA``, and ``corrections``.

        Each reading has one row that is not a correction: the version that was written first. So counts are exact.
        """
        return self._select(
            f"{_BEGIN}, count() - {_CORRECTIONS} AS readings, min(time) AS first, max(time) AS last,"
            f" min(arrival_time) AS first_arrival, max(arrival_time) AS last_arrival, {_CORRECTIONS} AS corrections",
            window,
            _BY_MINUTE,
        )

    def count_versions(
        self, window: Window, *, written_until: datetime | None = None, final: bool = True
    ) -> Query:
        """Return the columns of ``MINUTE_COUNTS_SCHEMA``, and ``corrections``. Every version counts as a reading.

        Without ``final``, a version counts as often as it was inserted.
        """
        return self._select(
            f"{_BEGIN}, count() AS readings, {_CORRECTIONS} AS corrections",
            window,
            _BY_MINUTE,
            written_until=written_until,
            final=final,
        )

    def count_readings(self, window: Window, *, written_until: datetime | None = None) -> Query:
        """Return the columns of ``MINUTE_COUNTS_SCHEMA``. A reading counts once, even if it has several versions."""
        return self._select(
            f"{_BEGIN}, uniqExact(time, device_id) AS readings",
            window,
            _BY_MINUTE,
            written_until=written_until,
        )

    def interval_totals(self, window: Window, *, corrected: bool) -> Query:
        """Return the columns of ``INTERVAL_TOTALS_SCHEMA``."""
        energy = f"{_sum('if(kwh > 0, kwh, 0)')}, {_sum('if(kwh < 0, -kwh, 0)')}"
        return self._aggregate(
            f"{_BEGIN}, count() AS readings, {_LATE}, {_sum('kw')}, {energy}",
            ["kw", "kwh"],
            window,
            _BY_MINUTE,
            corrected=corrected,
        )

    def hourly_means(self, window: Window, *, corrected: bool) -> Query:
        """Return the columns of ``HOURLY_MEANS_SCHEMA``."""
        return self._aggregate(
            f"{_BEGIN}, count() AS readings, {_LATE}, avg(kw), avg(vltg), avg(crrnt), avg(pf), sum(kwh)",
            ["kw", "vltg", "crrnt", "pf", "kwh"],
            window,
            _BY_HOUR,
            corrected=corrected,
        )

    def rows(
        self, columns: Sequence[str], window: Window, *, written_until: datetime | None = None
    ) -> Query:
        """Return these columns of the window's rows in order. A reading may have several rows."""
        return self._page(
            columns, window, corrected=False, written_until=written_until, final=False
        )

    def readings(
        self,
        columns: Sequence[str],
        window: Window,
        *,
        corrected: bool,
        skip: int = 0,
        limit: int | None = None,
        written_until: datetime | None = None,
    ) -> Query:
        """Return these columns of the window's readings in order, or of ``limit`` of them after the first ``skip``."""
        return self._page(
            columns,
            window,
            corrected=corrected,
            skip=skip,
            limit=limit,
            written_until=written_until,
        )

    def readings_after(
        self,
        columns: Sequence[str],
        window: Window,
        position: Position,
        *,
        corrected: bool,
        limit: int,
    ) -> Query:
        """Return the first readings after a position, in order. The window starts at the position's time."""
        return self._page(
            columns,
            window,
            corrected=corrected,
            limit=limit,
            condition=f"(time > {{after_time:{INSTANT}}} OR device_id > {{after_device:String}})",
            parameters={"after_time": as_text(position.time), "after_device": position.device_id},
        )

    def versions(self, columns: Sequence[str], window: Window) -> Query:
        """Return these columns of all versions of the window's readings, sorted by ``frame.VERSION``."""
        return self._select(_list(columns), window, _VERSIONS)

    def corrections(self, window: Window) -> Query:
        """Return one row if a reading of the window has a correction."""
        return self._select("1 AS found", window, "LIMIT 1", condition=_IS_CORRECTION, final=False)

    def last_times(self, window: Window) -> Query:
        """Return the columns of ``Snapshot.last_times``."""
        return self._select("device_id, max(time) AS last", window, "GROUP BY device_id")

    def reading_times(self, windows: Sequence[Window]) -> Query:
        """Return the columns ``frame.ORDER`` of the windows' readings, in any order."""
        wanted = any_of(windows)
        text = f"SELECT DISTINCT {_list(frame.ORDER)} FROM {self.table} WHERE {wanted.text}"
        return replace(wanted, text=text)

    def meter_summaries(self, window: Window) -> Query:
        """Return the columns of ``METER_SUMMARIES_SCHEMA``."""
        return self._select(
            f"device_id, min(time) AS first, max(time) AS last, count() - {_CORRECTIONS} AS readings",
            window,
            "GROUP BY device_id ORDER BY device_id",
        )

    def day_summary(self, window: Window) -> Query:
        """Return the columns of ``Snapshot.day_summaries`` for a window of one day, without the day."""
        return self._select(
            f"min(time) AS earliest, max(time) AS latest, count() - {_CORRECTIONS} AS readings,"
            " uniqExact(time) AS intervals, uniqExact(device_id) AS meters",
            window,
        )

    def meter_count(self) -> Query:
        """Return one row with the number of meters. A reading that is stored twice does not change it."""
        return Query(f"SELECT uniqExact(device_id) AS meters FROM {self.table}")

    def has_readings(self, first: datetime, last: datetime) -> Query:
        """Return one row if there is a reading from ``first`` to ``last``."""
        return self._select("1 AS found", Window(first, last), "LIMIT 1", final=False)

    def count_written(self, first: datetime, last: datetime, since: datetime) -> Query:
        """Return how many rows from ``first`` to ``last`` were inserted since an instant of the server's clock."""
        return self._select(
            "count() AS written_since",
            Window(first, last),
            condition=f"written >= {{since:{INSTANT}}}",
            parameters={"since": as_text(since)},
            final=False,
        )

    def stored(self, keys: pl.DataFrame, *, versions: bool) -> Query:
        """Return the ``time`` and ``device_id`` of those ``keys`` that are stored, or the columns of ``frame.VERSION``.

        ``keys`` are sorted by time and not empty.
        """
        window = Window(keys["time"][0], keys["time"][-1])
        query = self._select(
            f"DISTINCT {_list(frame.VERSION if versions else frame.ORDER)}",
            window,
            condition=f"(time, device_id) IN (SELECT time, device_id FROM {_KEYS})",
            # Of two versions that were both inserted as the first one, only one stays.
            final=versions,
        )
        structure = f"time {INSTANT}, device_id String"
        return Query(query.text, query.parameters, {_KEYS: (structure, keys)})

    def _page(
        self,
        columns: Sequence[str],
        window: Window,
        *,
        corrected: bool,
        skip: int = 0,
        limit: int | None = None,
        **terms: Any,
    ) -> Query:
        """Return a query of readings in order: all of them, or ``limit`` of them after the first ``skip``."""
        limits = "" if limit is None else f"LIMIT {int(limit)} OFFSET {int(skip)}"
        if not corrected:
            query = self._select(_list(columns), window, f"{_IN_ORDER} {limits}", **terms)
        elif limit is None:
            query = self._select(_list(columns), window, _VALID, **terms)
        else:
            # Only the keys of the readings before the page are read, and only the versions of the page are sorted.
            keys = self._select(
                f"DISTINCT {_list(frame.ORDER)}", window, f"{_IN_ORDER} {limits}", **terms
            )
            page = f"AND (time, device_id) IN ({keys.text})"
            query = self._select(_list(columns), window, f"{page} {_VALID}", **terms)
        return query if window.device_ids else query.for_adjacent_rows(limit)

    def _aggregate(
        self, columns: str, names: Sequence[str], window: Window, group: str, *, corrected: bool
    ) -> Query:
        """Return a query of aggregates of the valid readings. ``names`` are the measures that it needs."""
        if not corrected:
            return self._select(columns, window, group)
        valid = self._select(_list(["time", "arrival_time", *names]), window, _VALID)
        return replace(valid, text=f"SELECT {columns} FROM ({valid.text}) {group}")

    def _select(
        self,
        columns: str,
        window: Window,
        clauses: str = "",
        *,
        condition: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        written_until: datetime | None = None,
        final: bool = True,
    ) -> Query:
        of_window = conditions(window)
        terms, bound = [of_window.text], {**of_window.parameters, **(parameters or {})}
        if condition is not None:
            terms.append(condition)
        if written_until is not None:
            terms.append(f"written <= {{written_until:{INSTANT}}}")
            bound["written_until"] = as_text(written_until)
        source = f"{self.table} FINAL" if final else self.table
        text = f"{self._nulls}SELECT {columns} FROM {source} WHERE {' AND '.join(terms)} {clauses}"
        return Query(text.strip(), bound, of_window.tables)
