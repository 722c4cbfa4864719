"""The record of verified days survives a kill, and belongs to one process at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from readings.copying.progress_record import (
    CopyRunningError,
    VerifiedDay,
    copy_key,
    progress_record,
)

FIRST = VerifiedDay("2023-02-27 00:00:00.000000", "2023-02-27 23:59:59.999999", 20, "aa", 0, 0)
SECOND = VerifiedDay("2023-02-28 00:00:00.000000", "2023-02-28 23:59:59.999999", 30, "bb", 0, 0)
KEY = copy_key("source", "target")


def test_a_recorded_day_is_found_by_the_next_run(tmp_path: Path) -> None:
    with progress_record(tmp_path, KEY) as record:
        assert record.find(FIRST.start, FIRST.end) is None
        record.add(FIRST)
        record.add(VerifiedDay(FIRST.start, FIRST.end, 21, "cc", 1, 2))
        record.add(SECOND)
    with progress_record(tmp_path, KEY) as record:
        assert record.find(SECOND.start, SECOND.end) == SECOND
        newest = record.find(FIRST.start, FIRST.end)
        assert newest is not None
        assert newest.readings == 21
        assert record.find(FIRST.start, SECOND.end) is None


def test_a_line_that_a_killed_process_wrote_in_part_is_skipped(tmp_path: Path) -> None:
    with progress_record(tmp_path, KEY) as record:
        record.add(FIRST)
        record.add(SECOND)
    [file] = tmp_path.iterdir()
    file.write_text(file.read_text()[:-10])
    for _ in range(2):
        with progress_record(tmp_path, KEY) as record:
            assert record.find(FIRST.start, FIRST.end) == FIRST
            assert record.find(SECOND.start, SECOND.end) is None
    with progress_record(tmp_path, KEY) as record:
        record.add(SECOND)
    with progress_record(tmp_path, KEY) as record:
        assert record.find(SECOND.start, SECOND.end) == SECOND


def test_a_day_that_an_earlier_release_verified_is_not_trusted(tmp_path: Path) -> None:
    with progress_record(tmp_path, KEY):
        pass
    [file] = tmp_path.iterdir()
    line = {"start": FIRST.start, "end": FIRST.end, "readings": 20, "checksum": "aa"}
    file.write_text(json.dumps(line) + "\n")
    with progress_record(tmp_path, KEY) as record:
        assert record.find(FIRST.start, FIRST.end) is None


def test_each_pair_of_stores_has_a_record(tmp_path: Path) -> None:
    with progress_record(tmp_path, KEY) as record:
        record.add(FIRST)
    with progress_record(tmp_path, copy_key("target", "source")) as record:
        assert record.find(FIRST.start, FIRST.end) is None


def test_two_processes_cannot_copy_between_the_same_stores(tmp_path: Path) -> None:
    with (
        progress_record(tmp_path, KEY),
        pytest.raises(CopyRunningError, match="Another process is copying"),
        progress_record(tmp_path, KEY),
    ):
        pass
