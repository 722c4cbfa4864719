"""A statement with its parameters, and a window as the condition of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from readings.instants import format_instant
from readings.window import Window

INSTANT = "DateTime64(6, 'UTC')"
"""The type of all instants."""
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2299, 12, 31, tzinfo=UTC)
"""The limits of ClickHouse's instants. Bounds outside them, such as Python's first instant, are replaced by them."""
_ONE_THREAD = {"max_threads": 1}
"""With several threads, a page takes 12 ms instead of 8."""
_SMALL_BLOCKS = {"max_block_size": 1_024}
"""``FINAL`` reads a block of each part that is not merged. A block of the default size has all rows of an interval."""
_MAX_ROWS_IN_SMALL_BLOCKS = 10_000
_MAX_METERS_AS_PARAMETER = 1_000
"""If there are more meters, they are sent as a table: a server limits the length of a parameter to 128 KiB."""
_METERS = "requested_meters"


@dataclass(frozen=True)
class Query:
    """A statement, its parameters and settings, and the external tables sent with it: (structure, rows) by name."""

    text: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, tuple[str, pl.DataFrame]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def for_adjacent_rows(self, limit: int | None) -> Query:
        """Return this query with the best settings for ``limit`` adjacent rows of the table. None means all rows."""
        reads_few = limit is not None and limit <= _MAX_ROWS_IN_SMALL_BLOCKS
        return replace(self, settings=_ONE_THREAD | (_SMALL_BLOCKS if reads_few else {}))


def identifier(name: str) -> str:
    """Return the quoted name of a database, table or column."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def as_text(instant: datetime) -> str:
    """Return an instant as a parameter. One that ClickHouse cannot store becomes the nearest that it can."""
    return format_instant(min(max(instant, _FIRST), _LAST))


def any_of(windows: Sequence[Window]) -> Query:
    """Return a condition that the readings of each of the windows meet."""
    parts = [conditions(window, f"_{number}") for number, window in enumerate(windows)]
    return Query(
        " OR ".join(f"({part.text})" for part in parts),
        {name: value for part in parts for name, value in part.parameters.items()},
        {name: table for part in parts for name, table in part.tables.items()},
    )


def conditions(window: Window, suffix: str = "") -> Query:
    """Return the window as the condition of a WHERE clause. The names of its parameters end with ``suffix``."""
    bounds = {
        "start": ("time >=", window.start),
        "end": ("time <=", window.end),
        "arrived_after": ("arrival_time >", window.arrived_after),
        "as_of": ("arrival_time <=", window.as_of),
    }
    given = {name: bound for name, bound in bounds.items() if bound[1] is not None}
    terms = [
        f"{comparison} {{{name}{suffix}:{INSTANT}}}" for name, (comparison, _) in given.items()
    ]
    parameters: dict[str, Any] = {
        f"{name}{suffix}": as_text(instant) for name, (_, instant) in given.items() if instant
    }
    tables = {}
    meters = list(window.device_ids)
    if len(meters) > _MAX_METERS_AS_PARAMETER:
        terms.append(f"device_id IN (SELECT device_id FROM {_METERS}{suffix})")
        tables[f"{_METERS}{suffix}"] = ("device_id String", pl.DataFrame({"device_id": meters}))
    elif meters:
        terms.append(f"device_id IN {{meters{suffix}:Array(String)}}")
        parameters[f"meters{suffix}"] = meters
    return Query(" AND ".join(terms), parameters, tables)
