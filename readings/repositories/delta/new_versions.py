"""Find out which readings of a write are new, and which kind of data file each of their versions belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from readings import frame
from readings.repositories.delta.data_files import DataFiles, collect, scan_files
from readings.repositories.delta.file_kinds import Kind
from readings.window import Window

_ROWS_PER_JOIN = 50_000
"""Limits memory: a join needs about 250 bytes for each row."""
_STORED = "arrival_time:stored"
_VALID = "arrival_time:valid"


def new_readings(files: DataFiles, readings: pl.DataFrame) -> pl.DataFrame:
    """Return the readings (in order) whose time and device id are not in the files yet."""
    if readings.is_empty() or not _overlapping(files, readings, Kind.MAIN):
        return readings
    parts = (_not_stored(files, part) for part in readings.iter_slices(_ROWS_PER_JOIN))
    return pl.concat(parts)


def new_versions(files: DataFiles, versions: pl.DataFrame) -> Mapping[Kind, pl.DataFrame]:
    """Return the versions (sorted by ``frame.VERSION``, distinct) that are not in the files yet, by their kind.

    Of a reading that no main file has, the version that arrived last becomes the one in the main file.
    """
    for kind in (Kind.CORRECTIONS, Kind.REPLACED):
        others = _stored(files, versions, kind)
        if others is not None:
            versions = versions.join(
                collect(others), on=frame.VERSION, how="anti", maintain_order="left"
            )
    stored = _stored(files, versions, Kind.MAIN)
    known = frame.empty(frame.VERSION) if stored is None else collect(stored)
    known = known.rename({"arrival_time": _STORED})
    arrival, in_main = pl.col("arrival_time"), pl.col(_VALID)
    joined = (
        versions.join(known, on=frame.ORDER, how="left", maintain_order="left")
        .with_columns(pl.col(_STORED).fill_null(arrival.max().over(frame.ORDER)).alias(_VALID))
        .filter(pl.col(_STORED).is_null() | (arrival != in_main))
    )
    kinds = {
        Kind.MAIN: arrival == in_main,
        Kind.CORRECTIONS: arrival > in_main,
        Kind.REPLACED: arrival < in_main,
    }
    return {
        kind: joined.filter(of_kind).select(versions.columns) for kind, of_kind in kinds.items()
    }


def _not_stored(files: DataFiles, readings: pl.DataFrame) -> pl.DataFrame:
    stored = _stored(files, readings, Kind.MAIN)
    if stored is None:
        return readings
    return readings.join(collect(stored), on=frame.ORDER, how="anti", maintain_order="left")


def _stored(files: DataFiles, readings: pl.DataFrame, kind: Kind) -> pl.LazyFrame | None:
    """Return the columns ``frame.VERSION`` of the stored versions of these readings, or None if there can be none."""
    if readings.is_empty():
        return None
    paths = _overlapping(files, readings, kind)
    if not paths:
        return None
    inside = Window(readings["time"][0], readings["time"][-1]).predicate()
    stored = scan_files(files.folder, paths).filter(inside).select(frame.VERSION)
    # The readings may be few and months apart. So the readings stored between them may not fit into memory.
    return stored.join(readings.lazy().select(frame.ORDER), on=frame.ORDER, how="semi")


def _overlapping(files: DataFiles, readings: pl.DataFrame, kind: Kind) -> Sequence[str]:
    return files.overlapping(readings["time"][0], readings["time"][-1], kind)
