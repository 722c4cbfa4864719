"""Tests of the search for meters, and of the page of a meter."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest
from django.test import Client
from django.utils import timezone

from headend.portal.meter_readings import missing_intervals
from readings.repositories import ReadingsRepository
from readings.totals import update_totals
from tests.headend.portal.conftest import FIRST_METER, FLEET, hour_of_readings
from tests.headend.portal.markup import get_page

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("stored_hour")
def test_a_meter_is_found_by_the_first_characters_of_its_id(operator: Client) -> None:
    assert (
        operator.get(f"/fleet/meters/?q={FIRST_METER[:13].upper()}")["Location"]
        == f"/fleet/meters/{FIRST_METER}/"
    )
    several = sorted(meter for meter in FLEET.meters.device_id if meter.startswith(FIRST_METER[0]))
    page = get_page(operator, f"/fleet/meters/?q={FIRST_METER[0]}")
    assert len(several) > 1
    assert all(f"/fleet/meters/{meter}/" in page for meter in several)
    assert "No meter" in operator.get("/fleet/meters/?q=zz").content.decode()
    assert "More meters match" not in page


@pytest.mark.usefixtures("stored_hour")
def test_the_page_of_a_meter_shows_its_charts_and_store_totals(operator: Client) -> None:
    page = get_page(operator, f"/fleet/meters/{FIRST_METER}/")
    assert page.count('class="curve"') == 4
    assert "12 readings, 0 of them late. Contracted load: " in page
    for title in ("Active power", "Voltage", "Current", "Power factor"):
        assert title in page


def test_missing_intervals_of_a_meter_are_listed(
    operator: Client, store: ReadingsRepository
) -> None:
    before, after = hour_of_readings()[:4], hour_of_readings()[5:]
    store.write(pl.concat([*before, *after]))
    update_totals(store.snapshot())
    window = "start=2023-02-27+16:00&end=2023-02-27+16:55"
    page = get_page(operator, f"/fleet/meters/{FIRST_METER}/?{window}")
    assert "1 interval missing" in page
    assert ">2023-02-27 16:20</time>" in page


@pytest.mark.usefixtures("stored_hour")
def test_a_long_window_of_a_meter_shows_hourly_means(operator: Client) -> None:
    page = get_page(operator, f"/fleet/meters/{FIRST_METER}/?start=2023-02-20&end=2023-03-10")
    assert "12 readings, 0 of them late. Contracted load: " in page
    assert "The charts show hourly means." in page
    assert page.count('class="curve"') == 4
    # Eighteen days of 288 intervals and one more instant, of which twelve are stored.
    assert f"{18 * 288 + 1 - 12:,} intervals missing" in page
    assert "12 in this hour" in page


@pytest.mark.usefixtures("stored_hour")
def test_an_unknown_meter_is_not_found(operator: Client) -> None:
    missing = "00000000-0000-0000-0000-000000000000"
    assert operator.get(f"/fleet/meters/{missing}/").status_code == 404


def test_intervals_in_the_future_are_not_missing() -> None:
    now = timezone.now()
    missing = missing_intervals([], now - timedelta(hours=1), now + timedelta(hours=9))
    assert all(time <= now for time in missing)
