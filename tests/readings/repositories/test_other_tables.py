"""A Delta table that another program wrote is refused with one line, and stays as it is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from readings.repositories import RepositoryUnavailableError, open_repository, open_store
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window

TIME = datetime(2023, 2, 27, 16, tzinfo=UTC)
READINGS = readings_for(Fleet(devices=20), TIME)
WITH_DAY = READINGS.with_columns(pl.col("time").dt.date().alias("day"))
WINDOW = Window(TIME, TIME)


@pytest.mark.parametrize(
    ("rows", "partition", "problem"),
    [
        (pl.DataFrame({"name": ["x"], "size": [1]}), None, "time, arrival_time, .* are missing"),
        (READINGS, None, "day is missing or of another type"),
        (WITH_DAY.with_columns(pl.col("load").cast(pl.Float64)), "day", "load is missing or of"),
        (WITH_DAY, None, "it is not partitioned by day"),
    ],
)
def test_a_table_of_another_shape_is_refused(
    tmp_path: Path, rows: pl.DataFrame, partition: str | None, problem: str
) -> None:
    write_deltalake(tmp_path / "readings", rows, partition_by=partition)
    files = sorted(tmp_path.rglob("*"))
    repository = open_repository(f"delta://{tmp_path}/readings")
    for use in (repository.snapshot, lambda: repository.write(READINGS)):
        with pytest.raises(RepositoryUnavailableError, match=problem) as refused:
            use()
        assert "holds a Delta table of another program" in str(refused.value)
        assert "\n" not in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == files


def test_a_table_with_further_columns_is_accepted(tmp_path: Path) -> None:
    rows = WITH_DAY.with_columns(pl.lit(1).alias("note"))
    write_deltalake(tmp_path / "readings", rows, partition_by="day")
    store = open_store(f"delta://{tmp_path}/readings")
    assert store.exists()
    repository = open_repository(f"delta://{tmp_path}/readings")
    assert repository.snapshot().last_times(WINDOW).height == 20
