"""The interval totals follow the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from readings import tasks
from readings import totals as interval_totals
from readings.models import IntervalTotals
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.totals import update_totals

START = datetime(2023, 2, 27, 23, tzinfo=UTC)
FLEET = Fleet(devices=40, late_arrivals=True, late_percent=20)
END = START + timedelta(hours=2)

pytestmark = pytest.mark.django_db


@pytest.fixture
def everything(store: ReadingsRepository) -> pl.DataFrame:
    """Two hours of a fleet with late arrivals, kept."""
    kept = pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])
    store.write(kept)
    return kept


def expected(everything: pl.DataFrame) -> list[tuple[datetime, int, int, Any]]:
    return [
        (
            interval["time"][0],
            len(interval),
            int((interval["arrival_time"] > interval["time"]).sum()),
            pytest.approx(interval["kw"].sum()),
        )
        for interval in everything.partition_by("time", maintain_order=True)
    ]


def totals() -> list[tuple[datetime, int, int, Any]]:
    return list(IntervalTotals.objects.values_list("time", "readings", "late", "kw"))


def test_every_interval_is_summed_up(store: ReadingsRepository, everything: pl.DataFrame) -> None:
    assert update_totals(store.snapshot()) == 25
    assert totals() == expected(everything)


def test_only_what_changed_is_summed_up_again(
    store: ReadingsRepository, everything: pl.DataFrame
) -> None:
    update_totals(store.snapshot())
    assert update_totals(store.snapshot()) == 0
    more = readings_for(Fleet(devices=50), START)
    store.write(more)
    assert update_totals(store.snapshot()) == 1
    assert IntervalTotals.objects.get(time=START).readings == 50


def test_what_is_no_longer_kept_goes(store: ReadingsRepository, everything: pl.DataFrame) -> None:
    update_totals(store.snapshot())
    midnight = START + timedelta(hours=1)
    store.delete_before(midnight)
    update_totals(store.snapshot())
    assert totals()[0][0] == midnight


def test_nothing_outside_the_window_is_touched(
    store: ReadingsRepository, everything: pl.DataFrame
) -> None:
    update_totals(store.snapshot())
    before = totals()
    in_a_minute = START + timedelta(minutes=30, seconds=20)
    assert update_totals(store.snapshot(), in_a_minute, in_a_minute + timedelta(minutes=10)) == 0
    assert totals() == before


def test_many_intervals_are_summed_up_in_pieces(
    store: ReadingsRepository, everything: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interval_totals, "READINGS_AT_ONCE", 100)
    update_totals(store.snapshot())
    assert totals() == expected(everything)


def test_the_task_looks_back_as_far_as_it_is_told(
    store: ReadingsRepository, everything: pl.DataFrame
) -> None:
    tasks.update_interval_totals(2)
    assert totals() == []
    tasks.update_interval_totals()
    assert len(totals()) == 25
