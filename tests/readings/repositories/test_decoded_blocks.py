"""Blocks of a data file are decoded one by one, or in groups for a caller that reads block after block."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from readings import frame
from readings.repositories.delta import decoded_rows
from readings.repositories.delta.folder import DiskFolder
from readings.repositories.delta.repository import DeltaRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.repositories.recorded_reads import Reads, record_reads

TIME = datetime(2023, 2, 27, tzinfo=UTC)
READINGS = readings_for(Fleet(devices=100), TIME)
COLUMNS = tuple(frame.COLUMNS)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block has 8 rows, and a group 4 blocks."""
    monkeypatch.setattr(decoded_rows, "BLOCK_ROWS", 8)
    monkeypatch.setattr(decoded_rows, "_BLOCKS_PER_GROUP", 4)
    # All functions of the module share this cache.
    decoded_rows.decode.cache_clear()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """The reads of the test."""
    return record_reads(monkeypatch)


@pytest.fixture
def table(tmp_path: Path) -> DeltaRepository:
    """A table with one file of 100 readings."""
    repository = DeltaRepository(str(tmp_path))
    repository.write(READINGS)
    return repository


def data_file(folder: Path) -> str:
    [file] = folder.glob("day=*/*.parquet")
    return str(file)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0, 1, 2, 3, 4, 5], [(0, 8), (8, 8), (0, 32), (32, 32)]),
        ([6, 7, 8], [(48, 8), (56, 8), (64, 32)]),
        ([5, 6, 7, 8], [(40, 8), (48, 8), (32, 32), (64, 32)]),
        ([10, 11, 12], [(80, 8), (88, 8), (96, 32)]),
        ([4, 6, 7], [(32, 8), (48, 8), (56, 8)]),
        ([4, 5, 7], [(32, 8), (40, 8), (56, 8)]),
        ([5, 4, 3], [(40, 8), (32, 8), (24, 8)]),
        ([2, 2, 3, 3], [(16, 8), (24, 8)]),
    ],
    ids=[
        "from the first block", "up to a new group", "within a group", "up to the last block",
        "the second block before was not read", "the block before was not read", "backwards", "each block twice",
    ],
)  # fmt: skip
def test_blocks_are_decoded_in_groups_after_two_adjacent_ones(
    tmp_path: Path, table: DeltaRepository, reads: Reads, numbers: list[int], expected: Reads
) -> None:
    for number in numbers:
        block = decoded_rows.read_block(DiskFolder(tmp_path), data_file(tmp_path), number, COLUMNS)
        assert block.equals(READINGS[number * 8 : number * 8 + 8])
    assert reads == expected


def test_corrected_rows_keep_no_group_in_memory(tmp_path: Path, table: DeltaRepository) -> None:
    for number in range(4):
        decoded_rows.read_block(DiskFolder(tmp_path), data_file(tmp_path), number, COLUMNS)
    [group] = [each for each in decoded_rows._cache.values() if len(each) == 32]
    corrected = READINGS[5:6].with_columns(
        pl.lit(9.5).alias("kw"), pl.col("arrival_time") + pl.duration(hours=1)
    )
    table.write(corrected, corrections=True)
    for offset in (0, 8, 16):
        page = table.snapshot().page(Window(TIME), offset=offset, size=8).readings
        assert page["kw"].to_list() == [
            9.5 if row == 5 else READINGS["kw"][row] for row in range(offset, offset + 8)
        ]
    kept = [each for each in decoded_rows._cache.values() if each is not group]
    assert not any(
        np.shares_memory(each[name].to_numpy(), group[name].to_numpy())
        for each in kept
        for name in ("time", "kw")
    )
