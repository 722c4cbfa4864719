"""The database describes one table of readings, and notices another one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports.file_requests import FileSpec, accept
from exports.models import Status, Supplier
from exports.tasks import work
from readings.described_table import check_table, describe
from readings.ingest import live
from readings.models import DescribedTable, IntervalTotals, LiveArrival, Meter
from readings.repositories import ReadingsRepository, open_repository, open_store
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.tasks import maintain_repository, update_interval_totals, write_due_readings
from readings.totals import update_totals
from tests.readings.ingest.stored_readings import all_readings
from tests.readings.new_repository import create_repository
from tests.suppliers import END, START, api_client
from tests.suppliers import FLEET as SUPPLIED_FLEET

NOW = datetime(2023, 2, 27, 16, 1, tzinfo=UTC)
FLEET = Fleet(devices=30)

pytestmark = pytest.mark.django_db


def run_live_fleet(repository: ReadingsRepository, *, until: datetime) -> None:
    """Do what setup and the scheduled tasks do with ``READINGS_URL`` naming this repository."""
    describe(repository)
    live.write_due_readings(FLEET, repository, until)
    update_totals(repository.snapshot())


def test_no_interval_is_missing_after_another_table_was_used_for_a_while(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    other = create_repository(f"delta://{tmp_path}/other")
    run_live_fleet(store, until=NOW)
    run_live_fleet(other, until=NOW + timedelta(minutes=20))
    assert IntervalTotals.objects.count() == 1
    run_live_fleet(store, until=NOW + timedelta(minutes=40))
    times = all_readings(store)["time"].unique().sort().to_list()
    assert times == [*FLEET.intervals(NOW - timedelta(minutes=1), NOW + timedelta(minutes=39))]
    assert IntervalTotals.objects.count() == len(times)


def test_the_same_table_at_another_place_is_not_another_table(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    run_live_fleet(store, until=NOW)
    moved = shutil.move(tmp_path / "readings", tmp_path / "moved")
    assert not describe(create_repository(f"delta://{moved}"))
    assert LiveArrival.objects.exists()
    assert Meter.objects.count() == FLEET.devices


def test_a_table_that_was_deleted_and_created_again_is_another_table(
    store: ReadingsRepository, settings: Settings
) -> None:
    run_live_fleet(store, until=NOW)
    deleted = open_store(settings.READINGS_URL)
    deleted.destroy()
    deleted.create()
    assert describe(store)
    assert not any(model.objects.exists() for model in (LiveArrival, IntervalTotals, Meter))
    assert not describe(store)


def test_a_table_that_is_missing_for_a_moment_is_not_replaced_by_a_new_one(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    """As if its disk was not mounted."""
    run_live_fleet(store, until=NOW)
    table, elsewhere = tmp_path / "readings", tmp_path / "not mounted"
    table.rename(elsewhere)
    with pytest.raises(
        RepositoryUnavailableError, match=r"mount its disk.*manage\.py store create"
    ):
        check_table(store)
    assert not table.exists()
    elsewhere.rename(table)
    check_table(store)
    assert not describe(store)
    assert LiveArrival.objects.exists()


def test_commands_and_tasks_do_not_write_into_another_table(
    store: ReadingsRepository,
    settings: Settings,
    tmp_path: Path,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    describe(store)
    settings.READINGS_URL = f"delta://{tmp_path}/other"
    other = create_repository(settings.READINGS_URL)
    hour_ago = timezone.now() - timedelta(hours=1)
    for command in (("backfill", f"--start={hour_ago:%Y-%m-%d %H:%M}"), ("load", "missing.csv")):
        with pytest.raises(CommandError, match="READINGS_URL names another table"):
            call_command(*command)
    before = len(log_lines())
    write_due_readings()
    update_interval_totals()
    errors = [line.get("error", "") for line in log_lines()[before:]]
    assert len(errors) == 2
    assert all("run `python manage.py setup`" in error for error in errors)
    assert all_readings(other).is_empty()
    assert not LiveArrival.objects.exists()


@pytest.fixture
def process_with_another_table(
    readings: pl.DataFrame, store: ReadingsRepository, settings: Settings, tmp_path: Path
) -> None:
    """As in a process that was started without a variable: READINGS_URL is not that of the deployment."""
    describe(store)
    settings.READINGS_URL = f"delta://{tmp_path}/other"
    create_repository(settings.READINGS_URL).write(readings)


def test_no_reading_of_another_table_is_returned(
    process_with_another_table: None,
    alice: Supplier,
    operator: Client,
    settings: Settings,
    tmp_path: Path,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    caller, meter = api_client(alice), SUPPLIED_FLEET.meters.device_id[0]
    calls = [
        ("/readings", {"start_date": f"{START:%F %T}"}),
        ("/readings/history", {"device_id": meter, "time": f"{START:%F %T}"}),
        ("/meters", {}),
        (f"/meters/{meter}/latest", {}),
    ]
    for path, query in calls:
        before = len(log_lines())
        assert caller.get(path, query).status_code == 503, path
        errors = [line.get("error", "") for line in log_lines()[before:]]
        assert any(error.startswith("READINGS_URL names another table") for error in errors)
    assert operator.get(f"/fleet/meters/{meter}/").status_code == 503
    settings.READINGS_URL = f"delta://{tmp_path}/readings"
    assert caller.get(*calls[0]).json()["records"]
    # Later calls do not query the database.
    DescribedTable.objects.update(table_id="another")
    assert caller.get(*calls[0]).status_code == 200


def test_a_worker_with_another_table_leaves_file_requests_to_the_others(
    process_with_another_table: None,
    exports_folder: Path,
    alice: Supplier,
    settings: Settings,
    tmp_path: Path,
) -> None:
    request = accept(alice, FileSpec(START, END))
    work()
    request.refresh_from_db()
    assert (request.status, request.attempts) == (Status.QUEUED, 0)
    settings.READINGS_URL = f"delta://{tmp_path}/readings"
    work()
    request.refresh_from_db()
    assert request.status == Status.COMPLETED


def test_the_retention_of_this_deployment_deletes_nothing_from_another_table(
    store: ReadingsRepository, settings: Settings, tmp_path: Path
) -> None:
    settings.READINGS_RETENTION_DAYS = 30
    describe(store)
    settings.READINGS_URL = f"delta://{tmp_path}/other"
    other = create_repository(settings.READINGS_URL)
    other.write(readings_for(FLEET, NOW))
    maintain_repository()
    assert len(all_readings(other)) == FLEET.devices
    describe(other)
    maintain_repository()
    assert all_readings(other).is_empty()


def test_a_command_creates_the_table_of_a_new_deployment_only(
    settings: Settings, tmp_path: Path
) -> None:
    settings.SIMULATION_DEVICES = 20
    settings.READINGS_URL = f"delta://{tmp_path}/readings"
    hour_ago = timezone.now() - timedelta(hours=1)
    backfill = ("backfill", f"--start={hour_ago:%Y-%m-%d %H:%M}")
    call_command(*backfill)
    describe(open_repository(settings.READINGS_URL))
    shutil.rmtree(tmp_path / "readings")
    with pytest.raises(CommandError, match="does not exist"):
        call_command(*backfill)
    assert not (tmp_path / "readings").exists()
