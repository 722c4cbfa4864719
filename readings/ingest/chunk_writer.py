"""Write the rows of a file in chunks: first the new readings, then the corrections of stored ones."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import polars as pl
from django.utils import timezone

from readings import frame
from readings.ingest.corrections import Differences, FileColumns, compare_with_stored
from readings.ingest.row_report import RowReport
from readings.ingest.row_validation import ROW
from readings.ingest.settled import WRITE_TIME
from readings.repositories import ReadingsRepository, Snapshot

log = logging.getLogger(__name__)

_ROWS_PER_COMPARISON = 50_000
"""Limits memory: a comparison needs about 1 KB for each row."""


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
        not_stored, differences = self._correct(rows, before)
        if not self.dry_run and new < not_stored:
            # Another process has stored some of these readings since, perhaps with other values. So all rows are
            # compared again. This finds the same conflicts, but not the same corrections: those are stored by now.
            differences.conflicts = RowReport()
            differences.add(self._correct(rows, self.repository.snapshot())[1])
        self.differences.add(differences)
        return not_stored if self.dry_run else new

    def _correct(self, rows: pl.DataFrame, stored: Snapshot) -> tuple[int, Differences]:
        """Store the rows whose values differ from those of the stored readings.

        Return how many readings are not stored yet, and the differences. The rows are compared and stored in parts, to
        limit memory.
        """
        not_stored, differences = 0, Differences()
        for part in frame.parts_of_versions(rows, _ROWS_PER_COMPARISON):
            compared = compare_with_stored(part, stored, self.columns)
            not_stored += compared.not_stored
            differences.add(compared.differences)
            if len(compared.versions) and not self.dry_run:
                self._store(compared.versions, corrections=True)
        return not_stored, differences

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
