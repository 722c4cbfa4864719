"""A file in the home folder that records which days of a copy are verified. The next run skips these days."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class VerifiedDay:
    """A part of a UTC day whose readings were the same in both stores. Its bounds are instants in canonical text.

    ``source_revision`` and ``target_revision`` change if a reading is corrected in one of the stores. Lines of earlier
    releases do not have them, so they are skipped: their checksum covered fewer columns.
    """

    start: str
    end: str
    readings: int
    checksum: str
    source_revision: int
    target_revision: int


class CopyRunningError(Exception):
    """Another process is copying between the same stores."""


class ProgressRecord:
    """The verified days of the copy between two stores. Each is one line of JSON at the end of the file."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._days = {(day.start, day.end): day for day in _read(file)}

    def find(self, start: str, end: str) -> VerifiedDay | None:
        """Return what was recorded last about this window, or None."""
        return self._days.get((start, end))

    def add(self, day: VerifiedDay) -> None:
        """Record a day. It is on the disk when this method returns."""
        self._file.write(json.dumps(asdict(day)) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._days[day.start, day.end] = day


def copy_key(source: str, target: str) -> str:
    """Return a name for the copy between two tables, given their ids. It is the same in each run.

    A table that was deleted and created again has another id, so no day of it is skipped.
    """
    pair = f"{source}\n{target}"
    return f"copy-{hashlib.sha256(pair.encode()).hexdigest()[:16]}"


@contextmanager
def progress_record(home: Path, key: str) -> Iterator[ProgressRecord]:
    """Open the record of a copy, whose name is its :func:`copy_key`, and lock it.

    Raises :class:`CopyRunningError` if another process has locked it, and ``OSError`` if it cannot be opened.
    """
    with (home / f"{key}.jsonl").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CopyRunningError(
                "Another process is copying between these stores. Wait until it ends."
            ) from None
        yield ProgressRecord(file)


def _read(file: IO[str]) -> Iterator[VerifiedDay]:
    """Yield the recorded days. A line without all fields, of a killed process or an earlier release, is skipped."""
    file.seek(0)
    text = file.read()
    for line in text.splitlines():
        try:
            yield VerifiedDay(**json.loads(line))
        except (ValueError, TypeError):
            continue
    if text and not text.endswith("\n"):
        file.write("\n")
