"""``manage.py store copy`` from a folder to every engine and back."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from django.core.management import call_command
from polars.testing import assert_frame_equal
from pytest_django.fixtures import Settings

from readings.repositories import ReadingsRepository, open_repository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.readings.ingest.stored_readings import all_readings
from tests.readings.new_repository import create_repository
from tests.readings.repositories.engines import A_MIDNIGHT

FLEET = Fleet(devices=30, late_arrivals=True, late_percent=40)
BEFORE, AFTER = A_MIDNIGHT - timedelta(minutes=10), A_MIDNIGHT + timedelta(minutes=10)


@pytest.mark.django_db
def test_readings_are_the_same_after_a_copy_to_the_engine_and_back(
    repository: ReadingsRepository, settings: Settings, tmp_path: Path
) -> None:
    settings.HEADEND_HOME = tmp_path
    url = settings.READINGS_URL
    first, second = (f"delta://{tmp_path}/{name}" for name in ("first", "second"))
    everything_arrived = AFTER + timedelta(days=2)
    written = pl.concat(
        readings_for(FLEET, time, arrived_by=everything_arrived)
        for time in FLEET.intervals(BEFORE, AFTER)
    )
    create_repository(first).write(written)
    create_repository(second)

    repository.snapshot()
    out = io.StringIO()
    call_command("store", "copy", first, url, stdout=out)
    call_command("store", "copy", url, second, stdout=out)

    lines = out.getvalue().splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        f"2 days copied and compared: {len(written)} readings"
    ] * 2
    assert list(repository.extract_owners()) == []
    assert_frame_equal(all_readings(repository), written)
    assert_frame_equal(all_readings(open_repository(second)), written)
