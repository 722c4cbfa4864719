"""What upkeep works out of a table's settled days, kept in files beside it.

Data files never change, so what was worked out of certain ones stays true of them. A file here is named after its day
and the data files it was made of; a day that has changed since has no file of that name, and is read itself.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import polars as pl

from readings.window import DAY, window_of_day

DayFiles = Mapping[date, Sequence[str]]
"""The data files of each day, by their whole paths."""
COUNTS, HOURS = "_minutes", "_hours"
"""The kinds: counts of :mod:`minutes`, sums of :mod:`meter_hours`. Delta leaves alone what begins with an underscore."""
SETTLED_AFTER = DAY
"""How long after its end hardly any reading of a day arrives any more."""
_ROW_GROUP = 24_000
"""A thousand meters' day, by the hour."""
_OUT_OF_USE_SECONDS = 3600
"""How long a file is left that no day has any more: somebody may be about to read it."""


def settled(days: Iterable[date], now: datetime) -> list[date]:
    """Those of the days that have settled, newest first."""
    return sorted(
        (day for day in days if window_of_day(day).start + DAY + SETTLED_AFTER <= now), reverse=True
    )


class KeptByDay:
    """The files of one kind, in a folder of that name within the table's."""

    def __init__(self, root: str, kind: str) -> None:
        self._folder = Path(root) / kind

    def of(self, by_day: DayFiles) -> dict[date, Path]:
        """Where the files of those days lie that have one."""
        paths = ((day, self._path(day, files)) for day, files in by_day.items())
        return {day: path for day, path in paths if path.exists()}

    def keep(self, day: date, files: Sequence[str], rows: pl.DataFrame) -> None:
        """Keep what these data files of a day come to. The file appears whole or not at all."""
        self._folder.mkdir(exist_ok=True)
        aside = self._folder / f".{uuid.uuid4()}"
        rows.write_parquet(aside, compression="zstd", row_group_size=_ROW_GROUP)
        aside.replace(self._path(day, files))

    def forget_all_but(self, by_day: DayFiles) -> int:
        """Remove what none of these days has; says how many files."""
        kept = set(self.of(by_day).values())
        out_of_use = time.time() - _OUT_OF_USE_SECONDS
        files = self._folder.iterdir() if self._folder.exists() else ()
        old = [file for file in files if file not in kept and file.stat().st_mtime < out_of_use]
        for file in old:
            file.unlink()
        return len(old)

    def _path(self, day: date, files: Sequence[str]) -> Path:
        names = "\n".join(sorted(Path(file).name for file in files))
        made_of = hashlib.sha256(names.encode()).hexdigest()[:32]
        return self._folder / f"{day.isoformat()}-{made_of}.parquet"
