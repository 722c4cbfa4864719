"""Tests of the load and the energy of the fleet in short and long windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from headend.portal import charts
from headend.portal.fleet_load import energy, fleet_charts, load_points, sums_between
from readings.models import IntervalTotals
from readings.window import DAY, HOUR
from tests.headend.portal.conftest import FIVE_MINUTES, HOUR_START, store_totals

MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.django_db


def summary_of_energy(start: datetime, end: datetime) -> str:
    """Return the text below the chart of the energy."""
    return energy(sums_between(start, end), start, end).chart().summary


def test_the_load_of_a_short_window_has_one_point_per_interval() -> None:
    store_totals(HOUR_START, 288)
    bounds = HOUR_START, HOUR_START + DAY
    assert len(load_points(sums_between(*bounds), *bounds)) == 288


def test_the_load_of_a_year_has_hourly_means_and_a_short_path() -> None:
    bounds = HOUR_START, HOUR_START + 365 * DAY
    store_totals(HOUR_START, 365 * 24 * 2, step=timedelta(minutes=30))
    IntervalTotals.objects.filter(time=HOUR_START).update(kw=30)
    points = load_points(sums_between(*bounds), *bounds)
    assert len(points) == 365 * 24
    assert points[:2] == [(HOUR_START, 20), (HOUR_START + HOUR, 10)]
    chart = charts.line_chart("load", "kW", points, *bounds)
    assert chart.curves[0].path.count(" ") <= 2 * charts.MAX_POINTS


@pytest.mark.parametrize(("length", "step"), [(HOUR, FIVE_MINUTES), (DAY, HOUR), (30 * DAY, DAY)])
def test_energy_is_that_of_each_interval_hour_or_day(length: timedelta, step: timedelta) -> None:
    """An interval ends at its time: the one at midnight belongs to the day before."""
    start = datetime(2023, 2, 27, tzinfo=UTC)
    store_totals(start, length // FIVE_MINUTES + 1, import_kwh=2.0, export_kwh=0.5)
    bounds = start, start + length
    intervals = step // FIVE_MINUTES
    used = energy(sums_between(*bounds), *bounds)
    first = start + FIVE_MINUTES if step == FIVE_MINUTES else start
    assert used.values == [
        (first + n * step, 2.0 * intervals, 0.5 * intervals) for n in range(length // step)
    ]
    [_, chart] = fleet_charts(sums_between(*bounds), *bounds)
    name = {FIVE_MINUTES: "interval", HOUR: "hour", DAY: "day"}[step]
    assert (chart.title, chart.unit) == (f"Energy per {name}", "kWh")


@pytest.mark.parametrize(
    ("length", "step", "missing"),
    [(2 * DAY, HOUR, 30 * MINUTE), (20 * DAY, DAY, 90 * MINUTE), (20 * DAY, DAY, 30 * MINUTE)],
)
def test_the_minimum_does_not_count_a_step_that_is_cut_at_its_start_or_its_end(
    length: timedelta, step: timedelta, missing: timedelta
) -> None:
    start = datetime(2023, 2, 27, tzinfo=UTC)
    end = start + length
    bounds = start, end
    store_totals(start, length // FIVE_MINUTES + 1, import_kwh=1.0)
    full = f"{step // FIVE_MINUTES} kWh"
    assert summary_of_energy(*bounds).startswith(f"Imported: minimum {full} at 2023-02-27 00:00")
    assert "Incomplete" not in summary_of_energy(*bounds)
    stored = IntervalTotals.objects.filter(time__gt=start + missing, time__lte=end - missing)
    cut_by_the_window = start + missing, end - missing
    IntervalTotals.objects.exclude(pk__in=stored).delete()
    for cut in (bounds, cut_by_the_window):
        summary = summary_of_energy(*cut)
        assert summary.startswith(f"Imported: minimum {full} at {start + step:%Y-%m-%d %H:%M}")
        assert f"last value {full}." in summary
        assert summary.endswith(f"Incomplete {'days' if step == DAY else 'hours'} are not counted.")


@pytest.mark.parametrize("length", [2 * DAY, 20 * DAY])
def test_the_minimum_does_not_count_a_step_with_missing_intervals(length: timedelta) -> None:
    start = datetime(2023, 2, 27, tzinfo=UTC)
    store_totals(start, length // FIVE_MINUTES + 1, import_kwh=1.0)
    missing = start + DAY + HOUR + 10 * MINUTE, start + DAY + HOUR + 20 * MINUTE
    IntervalTotals.objects.filter(time__range=missing).delete()
    full = "288" if length > 14 * DAY else "12"
    assert f"minimum {full} kWh" in summary_of_energy(start, start + length)


def test_a_window_of_only_incomplete_hours_counts_them() -> None:
    store_totals(HOUR_START + 30 * MINUTE, 5, import_kwh=1.0)
    summary = summary_of_energy(HOUR_START - 5 * HOUR, HOUR_START + 2 * HOUR)
    assert "minimum 5 kWh" in summary
    assert "Incomplete" not in summary


def test_a_long_window_that_ends_within_an_hour_has_the_energy_up_to_its_end() -> None:
    start, end = HOUR_START, HOUR_START + 20 * DAY + timedelta(minutes=30)
    store_totals(start, (end - start) // FIVE_MINUTES + 12, import_kwh=1.0)
    used = energy(sums_between(start, end), start, end)
    assert used.imported == (end - start) // FIVE_MINUTES


def test_meters_that_send_only_energy_have_no_chart_of_power() -> None:
    store_totals(HOUR_START, 24, kw=0.0, import_kwh=60_000.0)
    bounds = HOUR_START, HOUR_START + HOUR
    [chart] = fleet_charts(sums_between(*bounds), *bounds)
    assert (chart.title, chart.unit) == ("Energy per interval", "MWh")
    assert chart.data["series"][0] == {"name": "Imported", "values": [60.0] * 12}
    store_totals(HOUR_START + DAY, 12)
    later = HOUR_START + DAY, HOUR_START + DAY + HOUR
    assert [each.title for each in fleet_charts(sums_between(*later), *later)] == ["Fleet load"]


@pytest.mark.parametrize("length", [2 * HOUR, 20 * DAY])
def test_intervals_with_energy_and_without_power_are_a_gap(length: timedelta) -> None:
    store_totals(HOUR_START, 12, kw=0.0, import_kwh=5.0)
    store_totals(HOUR_START + HOUR, 6, kw=0.0, import_kwh=5.0)
    store_totals(HOUR_START + HOUR + 6 * FIVE_MINUTES, 6, kw=30.0, import_kwh=5.0)
    bounds = HOUR_START, HOUR_START + length
    points = load_points(sums_between(*bounds), *bounds)
    assert {kw for _, kw in points} == {None, 30.0}
    assert "Minimum 30 kW" in fleet_charts(sums_between(*bounds), *bounds)[0].summary
