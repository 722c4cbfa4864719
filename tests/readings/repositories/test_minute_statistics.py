"""Totals and summaries of a Delta table from the statistics of its files are those of the readings themselves."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from readings import frame
from readings.repositories.delta import day_summaries, snapshot
from readings.repositories.delta.decoded_rows import read_device_ids
from readings.repositories.delta.folder import Folder
from readings.repositories.delta.repository import DeltaRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import DAY, Window

FLEET = Fleet(devices=30, interval_minutes=60, late_arrivals=True, late_minutes=15)
START = datetime(2023, 2, 27, 20, tzinfo=UTC)
HOURS = [readings_for(FLEET, START + n * DAY / 24) for n in range(9)]
LARGER = readings_for(Fleet(devices=40, interval_minutes=60), START + timedelta(hours=6))
"""Readings of one interval, of which those of 30 meters are stored before."""
ODD_SECONDS = HOURS[0].with_columns(
    pl.col("time") + pl.duration(seconds=pl.int_range(pl.len()) * 7)
)
CONTENTS = {
    "the same meters": [pl.concat(HOURS)],
    "a file for each interval": HOURS,
    "another file with more meters": [pl.concat(HOURS), LARGER],
    "fewer meters later": [pl.concat([HOURS[0], *(hour.head(20) for hour in HOURS[5:])])],
    "odd seconds": [ODD_SECONDS, *HOURS[5:]],
    "odd seconds in two files": [ODD_SECONDS.head(20), ODD_SECONDS.tail(15)],
    "nothing": [],
}
WINDOWS = {
    "all": Window(START),
    "within a day": Window(START, START + timedelta(hours=2)),
    "within a minute": Window(START, START + timedelta(seconds=30)),
    "a meter": Window(START, None, (HOURS[0]["device_id"][4],)),
    "as of": Window(START, as_of=START + timedelta(hours=5)),
    "later": Window(START + 9 * DAY),
}


def results(repository: DeltaRepository) -> list[pl.DataFrame]:
    """Return everything that statistics may answer, in a comparable order."""
    newest = repository.snapshot()
    found = [newest.interval_totals(window) for window in WINDOWS.values()]
    found += [newest.last_times(window).sort("device_id") for window in WINDOWS.values()]
    meters = pl.DataFrame({"meters": [newest.meter_count()]})
    return [
        each.with_columns(pl.col(pl.Float64).round(6))
        for each in (*found, newest.day_summaries(), meters)
    ]


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("most_sets", [0, 32], ids=["many sets of meters", "few"])
def test_statistics_answer_as_the_readings_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, most_sets: int
) -> None:
    monkeypatch.setattr(day_summaries, "_MAX_METER_SETS_OF_A_DAY", most_sets)
    monkeypatch.setattr(snapshot, "_MAX_METER_SETS_OF_A_QUERY", most_sets)
    folder = tmp_path / "readings"
    repository = DeltaRepository(str(folder))
    for readings in CONTENTS[content]:
        repository.write(readings)
    answers = [results(repository)]
    # Every second file was written by an earlier release.
    for file in sorted(folder.glob("_statistics/*"))[::2]:
        file.unlink()
    answers.append(results(DeltaRepository(str(folder))))
    shutil.rmtree(folder / "_statistics", ignore_errors=True)
    without = results(DeltaRepository(str(folder)))
    for answer in answers:
        for ours, expected in zip(answer, without, strict=True):
            assert ours.schema == expected.schema
            assert ours.equals(expected)


def test_interval_totals_read_no_data_file(tmp_path: Path) -> None:
    repository = DeltaRepository(str(tmp_path / "readings"))
    repository.write(pl.concat(HOURS))
    for file in tmp_path.rglob("*.parquet"):
        file.unlink()
    totals = repository.snapshot().interval_totals(Window(START))
    assert totals["readings"].to_list() == [30] * 9
    late = [int(hour.select(frame.is_late().sum()).item()) for hour in HOURS]
    assert totals["late"].to_list() == late
    assert sum(late) > 0


def test_a_summary_reads_the_meters_of_one_file(tmp_path: Path) -> None:
    """All nine intervals have the same meters."""
    repository = DeltaRepository(str(tmp_path / "readings"))
    for hour in HOURS:
        repository.write(hour)
    files = sorted(tmp_path.rglob("*.parquet"))

    calls: list[str] = []

    def recorded(folder: Folder, file: str, start: int, length: int) -> pl.Series:
        calls.append(file)
        return read_device_ids(folder, file, start, length)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(day_summaries, "read_device_ids", recorded)
        assert repository.snapshot().meter_count() == 30
    assert len(calls) == 1 < len(files)


def test_a_summary_keeps_no_counts_in_memory(tmp_path: Path) -> None:
    """They would stay there after their files are replaced."""
    repository = DeltaRepository(str(tmp_path / "readings"))
    repository.write(pl.concat(HOURS))
    newest = repository.snapshot()
    assert newest.meter_count() == 30
    assert newest.day_summaries()["readings"].sum() == 30 * 9
    assert not newest._file_counts._by_file
