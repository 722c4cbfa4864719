"""Tests of the search for meters, and of the page of a meter."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from urllib.parse import quote

import polars as pl
import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import escape
from django.utils.timesince import timesince

from headend.portal.meter_readings import missing_intervals
from readings.models import Meter
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.totals import update_totals
from tests.headend.portal.conftest import (
    FIRST_METER,
    FIVE_MINUTES,
    FLEET,
    HOUR_START,
    hour_of_readings,
)
from tests.headend.portal.markup import get_page

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("stored_hour")
def test_the_page_of_a_meter_leads_to_a_file_request_of_its_window(operator: Client) -> None:
    page = get_page(operator, f"/fleet/meters/{FIRST_METER}/")
    [link] = re.findall(r'href="(/requests/new/[^"]*)"', page)
    form = get_page(operator, html.unescape(link))
    assert f"{FIRST_METER}</textarea>" in form
    assert 'value="2023-02-27 16:55:00"' in form


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


def test_a_silent_meter_is_found_by_the_first_characters_of_its_id(
    operator: Client, store: ReadingsRepository
) -> None:
    """The newest interval is 40 days later, and 200 other meters have readings in it."""
    store.write(readings_for(FLEET, HOUR_START))
    update_totals(store.snapshot())
    newest = HOUR_START + timedelta(days=40)
    others = readings_for(Fleet(devices=300), newest)
    store.write(others.filter(~pl.col("device_id").is_in(FLEET.meters.device_id.to_list())))
    update_totals(store.snapshot())
    prefix = FIRST_METER[:13]
    assert operator.get(f"/fleet/meters/?q={prefix}")["Location"] == f"/fleet/meters/{FIRST_METER}/"
    page = get_page(operator, f"/fleet/meters/?q={FIRST_METER[0]}")
    assert f"/fleet/meters/{FIRST_METER}/" in page
    silent = [meter for meter in FLEET.meters.device_id if meter.startswith(FIRST_METER[0])]
    assert page.count("last readings on 2023-02-27") == len(silent)


def test_a_meter_that_is_not_recorded_yet_is_found_in_the_newest_interval(
    operator: Client, store: ReadingsRepository
) -> None:
    store.write(readings_for(FLEET, HOUR_START))
    update_totals(store.snapshot(), meters=False)
    found = operator.get(f"/fleet/meters/?q={FIRST_METER[:13]}")
    assert found["Location"] == f"/fleet/meters/{FIRST_METER}/"
    Meter.objects.create(device_id=FIRST_METER, last_day=HOUR_START.date() - timedelta(days=9))
    page = get_page(operator, f"/fleet/meters/?q={FIRST_METER[0]}")
    assert "last readings on" not in page


def test_the_search_and_the_page_of_a_meter_take_any_id(
    operator: Client, store: ReadingsRepository
) -> None:
    """The three ids are in byte order, and two of them would match each other's patterns."""
    ids = ["A_1", "A%1/x y#?", "Zähler & Söhne", "a_1"]
    first = readings_for(FLEET, HOUR_START).head(len(ids))
    store.write(first.with_columns(pl.Series("device_id", sorted(ids))))
    update_totals(store.snapshot())
    for device_id in ids:
        found = operator.get("/fleet/meters/", {"q": device_id})["Location"]
        assert found == f"/fleet/meters/{quote(device_id, safe='/&')}/"
        assert escape(device_id) in get_page(operator, found)
        encoded = f"/fleet/meters/{quote(device_id, safe='')}/"
        assert escape(device_id) in get_page(operator, encoded)
    page = get_page(operator, "/fleet/meters/?q=A")
    assert page.index("A%251/x%20y%23%3F/") < page.index("A_1/")
    assert "a_1" not in page
    for wrong in ("a,b", "x" * 65, "%20", "a%0Ab"):
        assert operator.get(f"/fleet/meters/{wrong}/").status_code == 404


@pytest.mark.parametrize("prefix", ["%", "_", "0%00", "'", "*", "[0-9]", "é\n", "x" * 65])
@pytest.mark.usefixtures("stored_hour")
def test_other_characters_match_no_meter(operator: Client, prefix: str) -> None:
    assert "No meter" in operator.get("/fleet/meters/", {"q": prefix}).content.decode()
    assert operator.get("/fleet/meters/?q=0%00").status_code == 400


@pytest.mark.usefixtures("stored_hour")
def test_the_page_of_a_meter_shows_its_charts_and_store_totals(operator: Client) -> None:
    page = get_page(operator, f"/fleet/meters/{FIRST_METER}/")
    assert page.count('class="curve ') == 4
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
    assert "The charts show hourly means, and the energy of each hour." in page
    assert page.count('class="curve ') == 4
    # The meter's first readings are those of the hour, so none are missing before it.
    missing = 7 * 12 + 10 * 288 + 1
    assert f"{missing:,} intervals missing" in page
    assert (
        '2023-02-27 17:00</time> to <time datetime="2023-03-10T00:00:00+00:00">2023-03-10 00:00'
    ) in page
    assert page.count("<li>") == 1


def test_nothing_is_missing_before_the_first_reading_of_a_meter(
    operator: Client, store: ReadingsRepository
) -> None:
    first, second, *others = hour_of_readings()
    is_meter = pl.col("device_id") == FIRST_METER
    store.write(pl.concat([first.filter(~is_meter), second.filter(~is_meter), *others[:3]]))
    store.write(pl.concat(others[4:]))
    update_totals(store.snapshot())
    path = f"/fleet/meters/{FIRST_METER}/"
    page = get_page(operator, f"{path}?start=2023-02-27+16:00&end=2023-02-27+16:55")
    assert "1 interval missing" in page
    # The hour has readings, so it is no range in which all are missing.
    hourly = get_page(operator, f"{path}?start=2023-02-01&end=2023-02-27+16:55")
    assert "1 interval missing" in hourly
    assert "In the hour from <time" in hourly
    # A reading before the window makes the start of the window missing.
    later = get_page(operator, f"{path}?start=2023-02-27+16:25&end=2023-02-27+16:55")
    assert "1 interval missing" in later
    earlier = get_page(operator, f"{path}?start=2023-02-27+15:00&end=2023-02-27+16:00")
    assert "missing</h2>" not in earlier


def test_the_title_has_the_whole_id_of_a_meter_unless_it_is_a_uuid(
    operator: Client, store: ReadingsRepository
) -> None:
    own = readings_for(FLEET, HOUR_START).head(1)
    store.write(pl.concat([own, own.with_columns(device_id=pl.lit("household-0001"))]))
    update_totals(store.snapshot())
    for device_id, title in (("household-0001", "household-0001"), (FIRST_METER, FIRST_METER[:8])):
        page = get_page(operator, f"/fleet/meters/{device_id}/")
        assert f"<title>Meter {title} · headend</title>" in page


def test_missing_intervals_in_a_row_are_one_range(
    operator: Client, store: ReadingsRepository
) -> None:
    for n, time in enumerate(FLEET.intervals(HOUR_START, HOUR_START + 11 * FIVE_MINUTES)):
        if n not in (3, 4, 5, 9):
            store.write(readings_for(FLEET, time))
    update_totals(store.snapshot())
    window = "start=2023-02-27+16:00&end=2023-02-27+16:55"
    page = get_page(operator, f"/fleet/meters/{FIRST_METER}/?{window}")
    assert "4 intervals missing" in page
    assert page.count("<li>") == 2
    assert "16:15</time> to <time" in page
    assert '16:25</time> <span class="muted">3 intervals</span>' in page


def test_a_meter_is_compared_with_its_own_interval_and_its_own_minutes() -> None:
    start = HOUR_START + timedelta(minutes=3)
    quarters = [start + n * timedelta(minutes=15) for n in range(8)]
    end = start + timedelta(hours=2)
    without = [time for n, time in enumerate(quarters) if n not in (2, 5)]
    assert missing_intervals(quarters, HOUR_START, quarters[-1]) == []
    assert missing_intervals(without, HOUR_START, quarters[-1]) == [quarters[2], quarters[5]]
    assert missing_intervals(quarters, HOUR_START, end) == [end]


def test_a_silent_meter_opens_on_its_last_day_with_data(
    operator: Client, store: ReadingsRepository
) -> None:
    for time in FLEET.intervals(HOUR_START, HOUR_START + 11 * FIVE_MINUTES):
        store.write(readings_for(FLEET, time))
    newest = HOUR_START + timedelta(days=40)
    others = readings_for(FLEET, newest).filter(pl.col("device_id") != FIRST_METER)
    store.write(others)
    update_totals(store.snapshot())
    path = f"/fleet/meters/{FIRST_METER}/"
    assert operator.get(f"/fleet/meters/?q={FIRST_METER}")["Location"] == path
    page = get_page(operator, path)
    assert "12 readings, 0 of them late." in page
    assert f"Last reading {timesince(HOUR_START + 11 * FIVE_MINUTES)} ago, <time" in page
    assert ">2023-02-27 16:55</time> UTC." in page
    assert 'value="2023-02-27 17:00:00"' in page
    # A window that the user chose stays, and may be empty.
    chosen = get_page(operator, f"{path}?start=2023-04-01&end=2023-04-02")
    assert "0 readings, 0 of them late." in chosen
    assert "Last reading" in chosen


@pytest.mark.usefixtures("stored_hour")
def test_an_unknown_meter_is_not_found(operator: Client) -> None:
    missing = "00000000-0000-0000-0000-000000000000"
    for query in ("", "?start=2023-02-27&end=2023-02-28"):
        assert operator.get(f"/fleet/meters/{missing}/{query}").status_code == 404
    assert "No meter" in operator.get(f"/fleet/meters/?q={missing}").content.decode()
    page = operator.get("/fleet/meters/nosuch/", headers={"accept": "text/html"})
    assert "The meter nosuch has no readings." in page.content.decode()
    assert 'href="/static/portal/theme' in page.content.decode()


def test_intervals_in_the_future_are_not_missing() -> None:
    now = timezone.now()
    missing = missing_intervals([], now - timedelta(hours=1), now + timedelta(hours=9))
    assert all(time <= now for time in missing)
