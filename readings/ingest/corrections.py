"""Find out which rows of a file are corrections of stored readings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from readings import frame
from readings.ingest.row_report import RowReport
from readings.ingest.row_validation import ROW
from readings.instants import format_instant
from readings.repositories import Snapshot
from readings.window import Window

_MAX_METERS = 200
"""If the rows name more meters, the stored readings of all meters are read."""
_VALUES = (*frame.MEASURES, "quality")
_BASE = "_base"
"""The suffix of the columns with the version to which a row is compared."""
_LAST_STORED = "last_stored"
_KIND = "kind"
_NEW, _KNOWN, _CORRECTION, _OLDER, _CONFLICT = "new", "known", "correction", "older", "conflict"


@dataclass(frozen=True)
class FileColumns:
    """What the file has: the names of its measures and of the quality, and whether it has an ``arrival_time``."""

    values: Sequence[str]
    has_arrival_time: bool

    @classmethod
    def of(cls, names: Sequence[str]) -> FileColumns:
        """Return what a file with these columns has."""
        return cls([name for name in _VALUES if name in names], "arrival_time" in names)

    @property
    def absent(self) -> list[str]:
        """The values that the file does not have."""
        return [name for name in _VALUES if name not in self.values]


@dataclass
class Differences:
    """The rows of a file whose reading is stored with other values or another arrival time.

    ``corrections`` arrive after the stored reading and replace it. ``conflicts`` do not, so they are not stored.
    ``older`` is the number of versions that arrived before the stored reading: they are stored as replaced versions.
    """

    corrections: RowReport = field(default_factory=RowReport)
    conflicts: RowReport = field(default_factory=RowReport)
    older: int = 0

    def add(self, others: Differences) -> None:
        """Add the rows of another part of the file."""
        self.corrections.add(others.corrections.count, others.corrections.first)
        self.conflicts.add(others.conflicts.count, others.conflicts.first)
        self.older += others.older


@dataclass(frozen=True)
class Comparison:
    """How many readings of some rows are not stored yet, the versions to store of the others, and their differences."""

    not_stored: int
    versions: pl.DataFrame
    differences: Differences


def compare_with_stored(rows: pl.DataFrame, snapshot: Snapshot, columns: FileColumns) -> Comparison:
    """Compare the rows of a file with the stored readings of the same meters and times.

    If the file has arrival times, each of its versions is stored, unless the reading has a stored version with the same
    arrival time. Without arrival times, a row is stored unless its values are those of the stored reading.

    Columns that the file does not have keep the values of the stored version that arrived before.

    ``rows`` (each version once, sorted by ``frame.VERSION``, not empty) has the column :data:`ROW`. Memory is bounded
    by one frame of the snapshot. Raises :class:`RepositoryUnavailableError`.
    """
    new, versions = 0, [frame.empty(frame.FULL_COLUMNS)]
    differences = Differences()
    for some, stored in _with_stored(
        frame.with_full_columns(rows).with_columns(rows[ROW]), snapshot
    ):
        compared = _compare(some, stored, columns)
        new += len(compared.filter(pl.col(_KIND) == _NEW))
        corrections = compared.filter(pl.col(_KIND) == _CORRECTION).sort(ROW)
        differences.corrections.add(len(corrections), _describe(corrections, columns))
        conflicts = compared.filter(pl.col(_KIND) == _CONFLICT).sort(ROW)
        differences.conflicts.add(len(conflicts), _describe(conflicts, columns))
        older = compared.filter(pl.col(_KIND) == _OLDER)
        differences.older += len(older)
        versions += [corrections.select(frame.FULL_COLUMNS), older.select(frame.FULL_COLUMNS)]
    return Comparison(new, pl.concat(versions), differences)


def _with_stored(
    rows: pl.DataFrame, snapshot: Snapshot
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield the rows in parts, each with the stored versions of its readings."""
    meters = rows["device_id"].unique().sort().to_list()
    window = Window(
        rows["time"][0],
        rows["time"][-1],
        tuple(meters) if len(meters) <= _MAX_METERS else (),
    )
    start = 0
    for stored in snapshot.versions(window):
        # A frame has whole minutes, so the next one has no version of these rows.
        end = int((rows["time"] <= stored["time"][-1]).sum())
        some = rows[start:end]
        yield some, stored.join(some, on=frame.ORDER, how="semi")
        start = end
    yield rows[start:], frame.empty(frame.FULL_COLUMNS)


def _compare(rows: pl.DataFrame, stored: pl.DataFrame, columns: FileColumns) -> pl.DataFrame:
    """Return the rows with the column :data:`_KIND`, and with its base: the version to which the row was compared.

    - Without arrival times in the file, the base is the valid stored version.
    - With them, it is the stored version with the same arrival time. If there is none, it is the last version that
      arrived before the row. This one can be stored, or be another row of the file.
    """
    if columns.has_arrival_time:
        others = rows.join(stored, on=frame.VERSION, how="anti", maintain_order="left")
        same = rows.join(_as_base(stored, frame.VERSION), on=frame.VERSION)
        compared = pl.concat([same, _with_version_before(others, stored, columns)], how="diagonal")
    else:
        base = _as_base(frame.valid_versions(stored), frame.ORDER)
        compared = rows.join(base, on=frame.ORDER, how="left").with_columns(
            pl.lit(None, frame.INSTANT).alias(_LAST_STORED)
        )
    of_base = (pl.col(name + _BASE).alias(name) for name in columns.absent)
    return compared.with_columns(of_base).with_columns(_kind(columns).alias(_KIND))


def _as_base(versions: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    return versions.select(*keys, pl.col("arrival_time", *_VALUES).name.suffix(_BASE))


def _with_version_before(
    rows: pl.DataFrame, stored: pl.DataFrame, columns: FileColumns
) -> pl.DataFrame:
    """Return the rows, each with the version before it, and with the last stored arrival time of its reading."""
    is_row = pl.col(ROW).is_not_null()
    as_rows = stored.with_columns(pl.lit(None, rows[ROW].dtype).alias(ROW))
    versions = pl.concat([as_rows, rows]).sort(frame.VERSION)
    if columns.absent and len(stored):
        last = pl.when(~is_row).then("position").forward_fill().over(frame.ORDER)
        numbered = versions.with_row_index("position").with_columns(last.alias("last"))
        versions = numbered.with_columns(pl.col(columns.absent).gather(pl.col("last")))
    before = pl.col(ROW, "arrival_time", *_VALUES).shift()
    is_same_reading = pl.all_horizontal(pl.col(frame.ORDER) == pl.col(frame.ORDER).shift())
    last_stored = pl.col("arrival_time").filter(~is_row).max().over(frame.ORDER)
    compared = versions.with_columns(
        pl.when(is_same_reading).then(before).name.suffix(_BASE), last_stored.alias(_LAST_STORED)
    )
    return compared.filter(is_row).drop("position", "last", strict=False)


def _kind(columns: FileColumns) -> pl.Expr:
    """Return what a row is, compared with its base: one of the constants above."""
    arrival, arrival_of_base = pl.col("arrival_time"), pl.col("arrival_time" + _BASE)
    has_base = arrival_of_base.is_not_null()
    is_equal = pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(name + _BASE)) for name in columns.values
    )
    is_same_version = arrival_of_base == arrival if columns.has_arrival_time else has_base
    return (
        pl.when(is_same_version & is_equal)
        .then(pl.lit(_KNOWN))
        .when(arrival_of_base >= arrival)
        .then(pl.lit(_CONFLICT))
        .when(pl.col(_LAST_STORED) > arrival)
        .then(pl.lit(_OLDER))
        .when(has_base)
        .then(pl.lit(_CORRECTION))
        .otherwise(pl.lit(_NEW))
    )


def _describe(rows: pl.DataFrame, columns: FileColumns) -> Iterator[tuple[int, str]]:
    for row in rows.iter_rows(named=True):
        where = "stored" if row.get(ROW + _BASE) is None else "in another row of the file"
        changed = [name for name in columns.values if row[name] != row[name + _BASE]]
        changes = "; ".join(
            f"{name} is {_text(row[name])}, but {_text(row[name + _BASE])} is {where}"
            for name in changed or ["arrival_time"]
        )
        if row[_KIND] == _CONFLICT:
            changes += ", with the same or a later arrival_time"
        yield row[ROW], f"{row['device_id']} at {format_instant(row['time'])}: {changes}"


def _text(value: Any) -> str:
    if value is None:
        return "empty"
    return format_instant(value) if hasattr(value, "tzinfo") else str(value)
