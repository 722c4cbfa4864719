"""Files of readings in ClickHouse: the same bytes as from a Delta table, without readings that were written later."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl
import pytest
from pytest_django.fixtures import Settings

from exports.file_requests import FileSpec, accept
from exports.models import Status, Supplier
from exports.pipeline import export_file, worker
from readings.repositories import repository
from tests.exports.pipeline.conftest import finished
from tests.services.clickhouse import ClickHouseLocal
from tests.suppliers import END, FLEET, START, decompressed_file, expected_csv


@pytest.fixture
def in_clickhouse(
    clickhouse: ClickHouseLocal,
    settings: Settings,
    readings: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[pl.DataFrame]:
    """The readings, in a ClickHouse table that is the deployment's repository. A part of a file has two intervals."""
    monkeypatch.setattr(export_file, "PART_READINGS", 2 * len(FLEET.meters))
    with clickhouse.new_database() as url:
        settings.READINGS_URL = url
        repository().check()
        repository().write(readings)
        yield readings


def test_the_file_has_the_same_bytes_as_with_a_delta_table(
    alice: Supplier, in_clickhouse: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    request = finished(accept(alice, FileSpec(START, END)), run_steps)
    assert request.status == Status.COMPLETED
    assert request.parts.count() > 1
    assert decompressed_file(request) == expected_csv(in_clickhouse)


def test_readings_written_after_the_plan_are_not_in_the_file(
    alice: Supplier, in_clickhouse: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    request = accept(alice, FileSpec(START, END))
    worker.run_next_step()
    other_meters = pl.col("device_id").str.replace("^.", "f")
    repository().write(in_clickhouse.with_columns(other_meters).unique(["time", "device_id"]))
    assert decompressed_file(finished(request, run_steps)) == expected_csv(in_clickhouse)
