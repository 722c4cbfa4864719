"""Files of readings in Timestream: the same bytes as from a Delta table, and no extract is left."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import polars as pl
import pytest
from pytest_django.fixtures import Settings

from exports import file_requests
from exports.file_requests import FileSpec, accept
from exports.models import Status, Supplier
from exports.pipeline import cleanup, export_file, worker
from readings.repositories import repository
from readings.repositories.timestream import unload
from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.table import Table
from readings.repository_errors import RepositoryUnavailableError
from readings.window import Window
from tests.exports.pipeline.conftest import finished
from tests.services.timestream import TimestreamLocal
from tests.suppliers import END, FLEET, START, decompressed_file, expected_csv


@pytest.fixture
def table(timestream: TimestreamLocal) -> Iterator[str]:
    """The name of an empty table."""
    name = f"t-{uuid.uuid4().hex}"
    address = TimestreamAddress.of(timestream.url_of("exports", name))
    created = Table(address, Clients(address))
    created.create_database()
    created.create(magnetic=timedelta(days=73_000))
    yield name
    created.delete()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of two intervals and extract chunks of three, so that their bounds differ."""
    monkeypatch.setattr(export_file, "PART_READINGS", 2 * len(FLEET.meters))
    monkeypatch.setattr(unload, "CHUNK_READINGS", 3 * len(FLEET.meters))


@pytest.fixture
def in_timestream(
    table: str, timestream: TimestreamLocal, settings: Settings, readings: pl.DataFrame
) -> pl.DataFrame:
    """The readings, in a Timestream table with a bucket that is the deployment's repository."""
    settings.READINGS_URL = timestream.url_of("exports", table)
    repository().write(readings)
    return readings


def test_the_file_has_the_same_bytes_as_with_a_delta_table(
    alice: Supplier,
    readings: pl.DataFrame,
    table: str,
    timestream: TimestreamLocal,
    settings: Settings,
    run_steps: Callable[[], None],
) -> None:
    from_delta = finished(accept(alice, FileSpec(START, END)), run_steps)
    for bucket in ("headend/timestream", None):
        settings.READINGS_URL = timestream.url_of("exports", table, bucket=bucket)
        repository().write(readings)
        from_timestream = finished(accept(alice, FileSpec(START, END)), run_steps)
        assert from_timestream.status == Status.COMPLETED
        assert (
            decompressed_file(from_timestream)
            == decompressed_file(from_delta)
            == expected_csv(readings)
        )
        assert (from_timestream.snapshot == "table") == (bucket is None)


def test_a_completed_request_leaves_no_extract(
    alice: Supplier, in_timestream: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    request = finished(accept(alice, FileSpec(START, END)), run_steps)
    assert request.parts.count() > 1
    assert request.snapshot.endswith("_manifest.json")
    assert repository().extract_owners() == set()


def test_a_cancelled_request_leaves_no_extract(
    alice: Supplier, in_timestream: pl.DataFrame
) -> None:
    request = accept(alice, FileSpec(START, END))
    worker.run_next_step()
    assert repository().extract_owners() == {str(request.pk)}
    file_requests.cancel(request)
    cleanup.remove_leftovers()
    assert repository().extract_owners() == set()


def test_a_failed_request_leaves_no_extract(
    alice: Supplier,
    in_timestream: pl.DataFrame,
    run_steps: Callable[[], None],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.EXPORTS_ATTEMPTS = 1

    def unreadable(self: object, window: object) -> Iterator[pl.DataFrame]:
        raise RepositoryUnavailableError("An unloaded file cannot be read.")

    monkeypatch.setattr(unload.UnloadedExtract, "frames", unreadable)
    request = finished(accept(alice, FileSpec(START, END)), run_steps)
    assert request.status == Status.FAILED
    cleanup.remove_leftovers()
    assert repository().extract_owners() == set()


def test_readings_written_after_the_plan_are_not_in_the_file(
    alice: Supplier, in_timestream: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    request = accept(alice, FileSpec(START, END))
    worker.run_next_step()
    other_meters = pl.col("device_id").str.replace("^.", "f")
    repository().write(in_timestream.with_columns(other_meters).unique(["time", "device_id"]))
    assert decompressed_file(finished(request, run_steps)) == expected_csv(in_timestream)


def test_folders_of_other_programs_are_not_deleted(in_timestream: pl.DataFrame, db: None) -> None:
    repository().create_extract(Window(START, END), "other-program/1")
    cleanup.remove_leftovers()
    assert repository().extract_owners() == {"other-program"}
    repository().delete_extracts("other-program")
