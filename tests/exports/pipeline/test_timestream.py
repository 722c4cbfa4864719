"""Files made of readings in Timestream: the same bytes as from any other store, and nothing left behind."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import polars as pl
import pytest
from pytest_django.fixtures import Settings

from exports import file_requests
from exports.file_requests import FileSpec, accept
from exports.models import FileRequest, Status, Supplier
from exports.pipeline import cleanup, export_file, worker
from readings.repositories import RepositoryUnavailableError, repository
from readings.repositories.timestream import unload
from readings.repositories.timestream.address import Address
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.table import Table
from tests.services.timestream import TimestreamLocal
from tests.suppliers import END, FLEET, START, decompressed_file, expected_csv


@pytest.fixture
def table(timestream: TimestreamLocal) -> Iterator[str]:
    """An empty table's name."""
    name = f"t-{uuid.uuid4().hex}"
    address = Address.of(timestream.url_of("exports", name))
    made = Table(address, Clients(address))
    made.create_database()
    made.create(magnetic=timedelta(days=73_000))
    yield name
    made.delete()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts and stretches of a few intervals, which do not fall together."""
    monkeypatch.setattr(export_file, "PART_READINGS", 2 * len(FLEET.meters))
    monkeypatch.setattr(unload, "CHUNK_READINGS", 3 * len(FLEET.meters))


@pytest.fixture
def in_timestream(
    table: str, timestream: TimestreamLocal, settings: Settings, readings: pl.DataFrame
) -> pl.DataFrame:
    """The deployment's store is Timestream with a bucket, and holds what the other one did."""
    settings.READINGS_URL = timestream.url_of("exports", table)
    repository().write(readings)
    return readings


def finished(request: FileRequest, run_steps: Callable[[], None]) -> FileRequest:
    run_steps()
    request.refresh_from_db()
    return request


def test_the_file_is_that_of_the_delta_repository_byte_by_byte(
    alice: Supplier,
    readings: pl.DataFrame,
    table: str,
    timestream: TimestreamLocal,
    settings: Settings,
    run_steps: Callable[[], None],
) -> None:
    of_delta = finished(accept(alice, FileSpec(START, END)), run_steps)
    for bucket in ("headend/timestream", None):
        settings.READINGS_URL = timestream.url_of("exports", table, bucket=bucket)
        repository().write(readings)
        of_timestream = finished(accept(alice, FileSpec(START, END)), run_steps)
        assert of_timestream.status == Status.COMPLETED
        assert (
            decompressed_file(of_timestream)
            == decompressed_file(of_delta)
            == expected_csv(readings)
        )
        assert (of_timestream.snapshot == "table") == (bucket is None)


def test_nothing_of_an_extract_is_left_when_the_file_is_there(
    alice: Supplier, in_timestream: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    request = finished(accept(alice, FileSpec(START, END)), run_steps)
    assert request.parts.count() > 1
    assert request.snapshot.endswith("_manifest.json")
    assert repository().extract_owners() == set()


def test_nothing_of_an_extract_is_left_when_a_request_is_cancelled(
    alice: Supplier, in_timestream: pl.DataFrame
) -> None:
    request = accept(alice, FileSpec(START, END))
    worker.run_next_step()
    assert repository().extract_owners() == {str(request.pk)}
    file_requests.cancel(request)
    cleanup.remove_leftovers()
    assert repository().extract_owners() == set()


def test_nothing_of_an_extract_is_left_when_a_request_fails(
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


def test_what_is_written_meanwhile_does_not_reach_the_file(
    alice: Supplier, in_timestream: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    request = accept(alice, FileSpec(START, END))
    worker.run_next_step()
    strangers = pl.col("device_id").str.replace("^.", "f")
    repository().write(in_timestream.with_columns(strangers).unique(["time", "device_id"]))
    assert decompressed_file(finished(request, run_steps)) == expected_csv(in_timestream)


def test_what_else_lies_beside_the_extracts_is_left_alone(in_timestream: pl.DataFrame) -> None:
    from readings.window import Window

    repository().create_extract(Window(START, END), "somebody-elses/1")
    cleanup.remove_leftovers()
    assert repository().extract_owners() == {"somebody-elses"}
    repository().delete_extracts("somebody-elses")
