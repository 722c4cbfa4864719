"""Write the rows of a file in chunks: first the new readings, then the corrections of stored ones."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import polars as pl
from django.utils import timezone

from readings import frame
from readings.ingest.corrections import Differences, FileColumns, compare_with_stored
from readings.ingest.row_validation import ROW
from readings.ingest.settled import WRITE_TIME
from readings.repositories import ReadingsRepository

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChunkWriter:
    """Writes the rows of one file into a repository, and collects the ``differences`` from what is stored.

    ``arrive_now`` says that the file has no arrival times: its rows arrive when they are written, those of the
    future at their time. With ``dry_run`` nothing is written.
    """

    repository: ReadingsRepository
    columns: FileColumns
    arrive_now: bool
    dry_run: bool
    differences: Differences = field(default_factory=Differences)

    def write(self, rows: pl.DataFrame) -> int:
        """Store the versions that are not stored yet, and return how many are new readings.

        ``rows`` (each version once, sorted by ``frame.VERSION``, not empty) has the column :data:`ROW`. Stored readings
        are read only if there are some of the same meter and time.

        Raises :class:`RepositoryUnavailableError` and :class:`ReadingsRefusedError`.
        """
        before = self.repository.snapshot()
        if not self.dry_run:
            new = self._store(rows.drop(ROW), corrections=False)
            if new == len(rows):
                return new
        if self.arrive_now:
            rows = _arriving_now(rows)
        compared = compare_with_stored(rows, before, self.columns)
        if not self.dry_run and new < compared.not_stored:
            # Another process has stored some of these readings since, perhaps with other values.
            compared = compare_with_stored(rows, self.repository.snapshot(), self.columns)
        self.differences.add(compared.differences)
        if self.dry_run:
            return compared.not_stored
        if len(compared.versions):
            self._store(compared.versions, corrections=True)
        return new

    def _store(self, readings: pl.DataFrame, *, corrections: bool) -> int:
        if not self.arrive_now:
            return self.repository.write(readings, corrections=corrections)
        begin = timezone.now()
        new = self.repository.write(_arriving_now(readings), corrections=corrections)
        duration = timezone.now() - begin
        if duration > WRITE_TIME:
            log.warning(
                "a write took too long, so pages by arrived_after may miss its readings",
                extra={"seconds": round(duration.total_seconds()), "readings": new},
            )
        return new


def _arriving_now(readings: pl.DataFrame) -> pl.DataFrame:
    now = frame.literal(timezone.now())
    return readings.with_columns(pl.max_horizontal("time", now).alias("arrival_time"))
