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

from readings import frame
from readings.engines import engine_of
from readings.instants import FIRST_INSTANT
from readings.repositories import ReadingsRepository, open_repository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.new_repository import create_repository
from tests.readings.repositories.engines import A_MIDNIGHT

EVERYTHING = Window(FIRST_INSTANT)
FLEET = Fleet(devices=30, late_arrivals=True, late_percent=40)
BEFORE, AFTER = A_MIDNIGHT - timedelta(minutes=10), A_MIDNIGHT + timedelta(minutes=10)


@pytest.mark.django_db
def test_all_versions_are_the_same_after_a_copy_to_the_engine_and_back(
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
    corrections = frame.with_full_columns(written).gather_every(7)
    corrections = corrections.with_columns(
        pl.col("arrival_time") + timedelta(days=3), kwh=pl.lit(-1.5), kw=pl.lit(None, pl.Float64)
    )
    create_repository(first).write(written)
    open_repository(first).write(corrections, corrections=True)
    create_repository(second)

    repository.snapshot()
    out = io.StringIO()
    call_command("store", "copy", first, url, stdout=out)
    call_command("store", "copy", url, second, stdout=out)

    versions = pl.concat([frame.with_full_columns(written), corrections]).sort(frame.VERSION)
    lines = out.getvalue().splitlines()
    if not engine_of(url).capabilities.keeps_replaced_versions:
        assert "TO keeps only the newest version of a reading" in lines.pop(0)
        versions = frame.valid_versions(versions)
    assert [line.partition(",")[0] for line in lines] == [
        f"2 days copied and compared: {len(versions)} readings"
    ] * 2
    assert list(repository.extract_owners()) == []
    for copied in (repository, open_repository(second)):
        assert_frame_equal(pl.concat(copied.snapshot().versions(EVERYTHING)), versions)
