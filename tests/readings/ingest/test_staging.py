"""The rows of a file between their check and their write."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from django.core.management import CommandError

from readings.ingest import csv_blocks
from readings.ingest.row_validation import IS_UNAMBIGUOUS, ROW
from readings.ingest.staging import StagedRows
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.readings.ingest.loading import GOOD, HEADER, load
from tests.readings.ingest.stored_readings import all_readings

FLEET = Fleet(devices=30)
NOON = datetime(2023, 2, 27, 12, tzinfo=UTC)
ROWS = (
    pl.concat([readings_for(FLEET, time) for time in (NOON, NOON + FLEET.interval)])
    .with_row_index(ROW, offset=1)
    .with_columns(pl.lit(value=True).alias(IS_UNAMBIGUOUS))
)


def stage(folder: Path, *batches: pl.DataFrame, are_local: bool = False) -> StagedRows:
    staged = StagedRows(are_local)
    for number, batch in enumerate(batches):
        staged.write(batch, folder / f"{number}.parquet")
    return staged


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([ROWS], True),
        ([ROWS[:30], ROWS[30:]], True),
        ([ROWS[:7], ROWS[7:]], True),
        ([ROWS[:7], ROWS[6:]], False),
        ([ROWS[30:], ROWS[:30]], False),
        ([ROWS[:7], ROWS[8:6:-1], ROWS[9:]], False),
        ([ROWS[:7], ROWS[7:9], ROWS[7:]], False),
    ],
)
def test_an_order_has_no_row_twice_across_batches(
    tmp_path: Path, batches: list[pl.DataFrame], expected: bool
) -> None:
    assert stage(tmp_path, *batches).in_strict_order == expected
    assert not stage(tmp_path, *batches, are_local=True).in_strict_order
    staged = pl.read_parquet(sorted(tmp_path.glob("*.parquet")))
    assert staged.sort(ROW).equals(pl.concat(batches).sort(ROW))


def test_rows_that_are_out_of_order_are_sorted_by_time_in_their_file(tmp_path: Path) -> None:
    assert not stage(tmp_path, ROWS.sample(fraction=1, shuffle=True, seed=3)).in_strict_order
    [file] = tmp_path.iterdir()
    assert pl.read_parquet(file)["time"].is_sorted()


@pytest.mark.django_db
def test_a_row_that_contradicts_the_last_row_of_the_block_before_is_found(
    store: ReadingsRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_blocks, "_MAX_LINES", 1)
    file = tmp_path / "may.csv"
    file.write_text("\n".join([HEADER, GOOD, GOOD.replace("17.674", "17.675"), ""]))
    with pytest.raises(CommandError, match="line 3: has other values"):
        load(file)
    assert all_readings(store).is_empty()
