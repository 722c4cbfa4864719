"""Registers, quality and corrected readings, for the page of a meter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from readings import frame
from readings.repositories import Snapshot
from readings.window import RESOLUTION, Window

ROLLOVER_KWH = 1_000_000.0
"""A register of nine digits in Wh starts at 0 again here."""
_NEAR_ROLLOVER = 0.9
_REGISTERS = {"import_kwh": "Imported", "export_kwh": "Exported"}
_NOTED_QUALITIES = ("estimated", "substituted", "missing")


@dataclass(frozen=True)
class Register:
    """A register at the last reading of a window that has it, in kWh, and its difference over the window.

    ``difference`` is None if the register was set back in the window, for example because the meter was replaced.
    """

    name: str
    time: datetime
    kwh: float
    since: datetime
    difference: float | None


def registers(readings: pl.DataFrame) -> list[Register]:
    """Return the registers of a meter's readings, which have ``frame.FULL_SCHEMA`` and are sorted by time."""
    found = []
    for column, name in _REGISTERS.items():
        known = readings.select("time", column).drop_nulls()
        if len(known):
            (since, first), (time, last) = known.row(0), known.row(-1)
            found.append(Register(name, time, last, since, register_difference(first, last)))
    return found


def register_difference(first: float, last: float) -> float | None:
    """Return the energy in kWh between two values of a register, also if it rolled over; None if it was set back."""
    if last >= first:
        return last - first
    return last - first + ROLLOVER_KWH if first >= _NEAR_ROLLOVER * ROLLOVER_KWH else None


def quality_counts(readings: pl.DataFrame) -> dict[str, int]:
    """Return how many readings have each quality, without qualities that none has and without null."""
    counts = dict(readings["quality"].drop_nulls().value_counts().iter_rows())
    return {quality: counts[quality] for quality in frame.QUALITIES if quality in counts}


def quality_notes(readings: pl.DataFrame) -> Mapping[datetime, str]:
    """Return the quality of each reading that was not measured, by its time."""
    noted = readings.filter(pl.col("quality").is_in(_NOTED_QUALITIES))
    return dict(noted.select("time", "quality").iter_rows())


def corrected_readings(
    snapshot: Snapshot, device_id: str, start: datetime, end: datetime
) -> list[tuple[datetime, pl.DataFrame]]:
    """Return the meter's readings that were corrected, from ``start`` to ``end``, the newest first.

    Each has its time and its versions, the valid one first, with the columns of ``frame.FULL_SCHEMA``. Versions are
    read only if a reading of any meter was corrected. The engine must keep replaced versions.
    """
    window = Window(start, end)
    if not snapshot.may_be_corrected(window):
        return []
    revisions = snapshot.minute_revisions(window)
    corrected = revisions.filter(pl.col("revision") > 0)["minute"]
    if corrected.is_empty():
        return []
    first, last = max(start, corrected[0]), corrected[-1] + timedelta(minutes=1) - RESOLUTION
    frames = snapshot.versions(Window(first, min(end, last), device_ids=(device_id,)))
    versions = pl.concat([frame.empty(frame.FULL_COLUMNS), *frames])
    several = versions.filter(pl.len().over(frame.ORDER) > 1).reverse()
    return [(time, same) for (time,), same in several.group_by("time", maintain_order=True)]
