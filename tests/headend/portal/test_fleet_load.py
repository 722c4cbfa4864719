"""Tests of the load of the fleet in short and long windows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from headend.portal import charts
from headend.portal.fleet_load import load_points
from tests.headend.portal.conftest import HOUR_START, store_totals

pytestmark = pytest.mark.django_db


def test_the_load_of_a_short_window_has_one_point_per_interval() -> None:
    store_totals(HOUR_START, 288)
    assert len(load_points(HOUR_START, HOUR_START + timedelta(days=1))) == 288


def test_the_load_of_a_year_has_hourly_means_and_a_short_path() -> None:
    year = timedelta(days=365)
    store_totals(HOUR_START, 365 * 24 * 2, step=timedelta(minutes=30))
    points = load_points(HOUR_START, HOUR_START + year)
    assert len(points) == 365 * 24
    chart = charts.line_chart("load", "kW", points, HOUR_START, HOUR_START + year)
    assert chart.path.count(" ") <= 2 * charts.MAX_POINTS
