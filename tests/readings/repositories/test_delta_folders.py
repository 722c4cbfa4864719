"""The Delta repository in folders with unusual names. No name is a pattern."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headend.config.environment import quoted
from readings.repositories import open_repository
from readings.repositories.delta import compaction
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.new_repository import create_repository

FLEET = Fleet(devices=3)
START = datetime(2023, 2, 27, tzinfo=UTC)
MIN_FILES = 3
NAMES = ["a b", "a#b", "a?b", "50%", "{a,b}", "*", "größe", "電力", "e\u0301", "'\"&+:;=~$", "end "]


@pytest.mark.parametrize("name", NAMES)
def test_readings_are_stored_compacted_and_read_in_a_folder_of_any_name(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MIN_FILES", MIN_FILES)
    url = f"delta://{quoted(tmp_path / name)}"
    written = [START + number * FLEET.interval for number in range(MIN_FILES)]
    repository = create_repository(url)
    for time in written:
        assert repository.write(readings_for(FLEET, time)) == len(FLEET.meters)
    assert repository.write(readings_for(FLEET, START)) == 0
    done = repository.maintain()
    assert (done["days compacted"], done["days counted"], done["days summed up"]) == (1, 1, 1)

    open_repository.cache_clear()
    snapshot = open_repository(url).snapshot()
    everything = Window(START)
    page = snapshot.page(everything, offset=0, size=1000)
    assert len(page.readings) == MIN_FILES * len(FLEET.meters)
    assert snapshot.interval_totals(everything)["minute"].to_list() == written
    assert snapshot.hourly_means(everything)["readings"].sum() == len(page.readings)
    assert snapshot.day_summaries()["day"].to_list() == [START.date()]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_table_does_not_read_the_files_of_a_folder_that_its_name_would_match(
    tmp_path: Path,
) -> None:
    for name, minutes in (("ab", 0), ("a*", 5), ("a?", 10)):
        repository = create_repository(f"delta://{quoted(tmp_path / name)}")
        time = START + timedelta(minutes=minutes)
        repository.write(readings_for(FLEET, time))
        stored = repository.snapshot().page(Window(START), offset=0, size=1000).readings
        assert set(stored["time"]) == {time}
