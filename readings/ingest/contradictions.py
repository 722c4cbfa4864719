"""Rows of a file that contradict each other."""

from __future__ import annotations

import polars as pl

from readings import frame
from readings.ingest.row_validation import IS_UNAMBIGUOUS, ROW, BadRow, BadRows


def add_contradictions(bad: BadRows, readings: pl.LazyFrame) -> None:
    """Add the rows that repeat the version of an earlier row: its device id, time and arrival time.

    A repeated row is allowed if its values are the same and both times have a UTC offset. In a file without an
    ``arrival_time``, ``readings`` have the time instead, so a repeated row is one with the same device id and time.
    """
    keys = readings.select(*frame.VERSION, ROW).collect()
    repeated = keys.filter(pl.len().over(frame.VERSION) > 1)
    if repeated.is_empty():
        return
    values = pl.struct(pl.exclude(ROW, IS_UNAMBIGUOUS, *frame.VERSION))
    contradictions = (
        readings.join(repeated.lazy(), on=ROW, how="semi")
        .sort(ROW)
        .with_columns(
            pl.col(ROW).first().over(frame.VERSION).alias("earlier"),
            (values != values.first().over(frame.VERSION)).alias("differs"),
            pl.col(IS_UNAMBIGUOUS).all().over(frame.VERSION).alias("are_unambiguous"),
        )
        .filter(
            (pl.col(ROW) != pl.col("earlier")) & (pl.col("differs") | ~pl.col("are_unambiguous"))
        )
        .select(ROW, "earlier", "differs")
        .collect()
    )
    hint = "" if bad.zone else " (--timezone reads local times)"
    for row, earlier, differs in contradictions.iter_rows():
        reason = (
            "has other values for the same device_id and time as"
            if differs
            else f"may be a copy, or an hour later because clocks went back: its time has no UTC offset{hint}. "
            "It has the same device_id and time as"
        )
        bad.append(BadRow(row, reason, earlier))
