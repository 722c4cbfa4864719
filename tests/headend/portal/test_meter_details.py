"""Tests of the registers, the quality and the corrections on the page of a meter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from headend.portal import meter_readings
from headend.portal.meter import MAX_CORRECTED
from headend.portal.meter_details import register_difference, registers
from headend.portal.meter_readings import LATEST_READINGS
from readings import frame
from readings.repositories import ReadingsRepository, Snapshot
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.repositories.page import Page
from readings.totals import update_totals
from tests.headend.portal.conftest import FIRST_METER, hour_of_readings
from tests.headend.portal.markup import get_page

WINDOW = f"/fleet/meters/{FIRST_METER}/?start=2023-02-27+16:00&end=2023-02-27+16:55"
MEASURED = ["kw", "kva", "crrnt", "pf", "vltg"]


def readings_of_meter() -> pl.DataFrame:
    """Return twelve readings with energy only: one is estimated, one is missing and has no energy."""
    hour = pl.concat(hour_of_readings()).filter(device_id=FIRST_METER)
    kwh = [0.25] * 9 + [None, -0.5, -0.5]
    return hour.with_columns(
        pl.Series("kwh", kwh, pl.Float64),
        pl.Series("import_kwh", [999_998.0 + 0.25 * n for n in range(8)] + [0.0, 0.25, 0.25, 0.25]),
        pl.Series("export_kwh", [7.0] * 10 + [7.5, 8.0]),
        pl.Series("quality", ["measured"] * 8 + ["estimated", "missing", "measured", None]),
        *(pl.lit(None, pl.Float64).alias(name) for name in MEASURED),
    )


def corrected(readings: pl.DataFrame, hours: int, kwh: float) -> pl.DataFrame:
    """Return later versions of readings."""
    return readings.with_columns(
        pl.col("arrival_time") + timedelta(hours=hours),
        kwh=pl.lit(kwh),
        quality=pl.lit("substituted"),
    )


def hourly_readings(number: int, registers_at: Sequence[int]) -> pl.DataFrame:
    """Return the readings of a meter since 2023-02-21. Some of them have the import register: 100 kWh, and 1 for each hour."""
    one = frame.with_full_columns(hour_of_readings()[0].filter(device_id=FIRST_METER))
    times = [datetime(2023, 2, 21, tzinfo=UTC) + n * timedelta(hours=1) for n in range(number)]
    time = pl.Series("time", times, frame.INSTANT)
    registers = [100.0 + n if n in registers_at else None for n in range(number)]
    return pl.concat([one] * number).with_columns(
        time,
        time.alias("arrival_time"),
        pl.Series("kwh", [1.0] * number),
        pl.Series("import_kwh", registers, pl.Float64),
    )


@pytest.fixture
def with_energy(store: ReadingsRepository) -> ReadingsRepository:
    """A repository with the twelve readings of one meter."""
    store.write(readings_of_meter())
    update_totals(store.snapshot())
    return store


@pytest.mark.django_db
@pytest.mark.usefixtures("with_energy")
def test_a_meter_that_sends_energy_only_has_one_chart_and_its_registers(operator: Client) -> None:
    page = get_page(operator, WINDOW)
    assert re.findall(r'<section class="card chart" aria-label="([^"]*)"', page) == [
        "Energy per interval"
    ]
    # The import register rolled over.
    assert re.findall(r"([\d,.]+) kWh </td>", page.replace("kWh<", "kWh <")) == [
        "0.250", "2.250", "8.000", "1.000",
    ]  # fmt: skip
    assert 'data-label="kW"' not in page
    assert 'data-label="Import, kWh"' in page


@pytest.mark.django_db
@pytest.mark.usefixtures("with_energy")
def test_a_long_window_has_the_energy_of_each_hour_and_the_details_of_the_last_day(
    operator: Client,
) -> None:
    page = get_page(operator, f"/fleet/meters/{FIRST_METER}/?start=2023-02-20&end=2023-03-10")
    assert "> Energy per hour <" in page
    # Nine readings imported 0.25 kWh, and two exported 0.5 kWh.
    assert '"values": [1.25]' in page
    assert (
        "Registers, quality, corrections and the latest readings are those of the last day." in page
    )
    assert "Quality on the last day: 9 measured, 1 estimated, 1 missing." in page


@pytest.mark.django_db
def test_the_least_energy_of_an_hour_does_not_count_hours_with_missing_readings(
    operator: Client, store: ReadingsRepository
) -> None:
    first, second, last = (
        readings_of_meter().with_columns(
            pl.col("time", "arrival_time") + timedelta(hours=n), kwh=pl.lit(energy)
        )
        for n, energy in enumerate((0.25, 0.5, 0.25))
    )
    store.write(pl.concat([first[4:], second, last[:9]]))
    update_totals(store.snapshot())
    page = get_page(operator, f"/fleet/meters/{FIRST_METER}/?start=2023-02-20&end=2023-03-10")
    assert "Minimum 6 kWh at 2023-02-27 17:00 UTC, maximum 6 kWh" in page
    assert "last value 6 kWh. Incomplete hours are not counted." in page


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("start", "registers_at", "register", "registers_read"),
    [
        ("2023-02-20", range(60), ["159.000", "59.000"], 2 * LATEST_READINGS),
        ("2023-02-20", [30, 31], ["131.000", "1.000"], 2 * LATEST_READINGS + 60),
        ("2023-01-20", range(60), ["159.000", "24.000"], 2 * LATEST_READINGS),
        ("2023-01-20", [30, 31], [], 2 * LATEST_READINGS + 25),
    ],
)
def test_a_window_of_days_has_the_details_of_its_first_and_last_readings(
    operator: Client, store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch,
    start: str, registers_at: Sequence[int], register: list[str], registers_read: int,
) -> None:  # fmt: skip
    """The window of 14 days or more lists the readings of the last day: 25 of the 60."""
    store.write(hourly_readings(60, registers_at))
    update_totals(store.snapshot())
    read: dict[str, int] = {}
    page_of = DeltaSnapshot.page

    def recorded(*args: Any, columns: Sequence[str] = frame.COLUMNS, **options: Any) -> Page:
        page = page_of(*args, columns=columns, **options)
        read.update({name: read.get(name, 0) + len(page.readings) for name in columns})
        return page

    monkeypatch.setattr(DeltaSnapshot, "page", recorded)
    page = get_page(operator, f"/fleet/meters/{FIRST_METER}/?start={start}&end=2023-02-27")
    assert "60 readings, 0 of them late. Contracted load: " in page
    assert re.findall(r"([\d,.]+) kWh </td>", page.replace("kWh<", "kWh <")) == register
    assert page.count('data-label="kVA"') == LATEST_READINGS
    assert read["kva"] == 2 * LATEST_READINGS
    assert read["import_kwh"] == registers_read


@pytest.mark.django_db
def test_an_engine_with_a_server_reads_a_window_of_days_by_one_query_with_the_same_result(
    operator: Client, store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(hourly_readings(60, [30, 31]))
    update_totals(store.snapshot())
    url = f"/fleet/meters/{FIRST_METER}/?start=2023-02-21&end=2023-02-27"
    of_folder = get_page(operator, url)
    read: list[Sequence[str]] = []
    page_of = DeltaSnapshot.page

    def recorded(*args: Any, columns: Sequence[str] = frame.COLUMNS, **options: Any) -> Page:
        read.append(columns)
        return page_of(*args, columns=columns, **options)

    monkeypatch.setattr(DeltaSnapshot, "page", recorded)
    monkeypatch.setattr(
        DeltaSnapshot, "reads_few_columns_faster", Snapshot.reads_few_columns_faster
    )
    of_server = get_page(operator, url)
    assert read == [frame.FULL_COLUMNS]
    cells = re.compile(r"<t[dh].*?</t[dh]>|<path.*?>", re.DOTALL)
    assert cells.findall(of_server) == cells.findall(of_folder)
    assert "131.000 kWh" in of_server.replace("kWh<", "kWh <")


@pytest.mark.django_db
def test_a_window_with_too_many_readings_shows_the_first_of_them(
    operator: Client, store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as readings every ten seconds. The register is in the middle, so its column is read once more."""
    store.write(hourly_readings(60, [25]))
    update_totals(store.snapshot())
    monkeypatch.setattr(meter_readings, "MAX_READINGS", 50)
    page = get_page(operator, f"/fleet/meters/{FIRST_METER}/?start=2023-02-20&end=2023-02-27")
    assert "50 readings, 0 of them late." in page
    assert "125.000 kWh" in page.replace("kWh<", "kWh <")


@pytest.mark.django_db
@pytest.mark.usefixtures("with_energy")
def test_readings_that_were_not_measured_are_counted_and_marked(operator: Client) -> None:
    page = get_page(operator, WINDOW)
    assert "Quality: 9 measured, 1 estimated, 1 missing." in page
    assert "those of the last day" not in page
    assert re.findall(r'<circle class="mark (\w+)"', page) == ["estimated", "missing"]
    assert "<title>16:40 UTC: estimated</title>" in page
    assert '"notes": {"8": "estimated", "9": "missing"}' in page
    assert re.findall(r'class="mark-key (\w+)">(\w+)<', page) == [
        ("estimated", "estimated"), ("missing", "missing"),
    ]  # fmt: skip


@pytest.mark.django_db
def test_every_version_of_a_corrected_reading_is_shown(
    operator: Client, with_energy: ReadingsRepository
) -> None:
    assert "corrected" not in get_page(operator, WINDOW)
    third = readings_of_meter()[2:3]
    with_energy.write(corrected(third, 2, 0.75), corrections=True)
    with_energy.write(corrected(third, 26, 0.5), corrections=True)
    page = get_page(operator, WINDOW)
    assert "1 reading corrected" in page
    [details] = re.findall(r"<details>(.*?)</details>", page)
    assert '2023-02-27 16:10:00</time> <span class="muted">3 versions</span>' in details
    assert re.findall(r'data-label="kWh" class="number">([^<]*)<', details) == [
        "0.500",
        "0.750",
        "0.250",
    ]
    assert re.findall(r">(2023-02-2\d) ", details) == [
        "2023-02-27", "2023-02-28", "2023-02-27", "2023-02-27",
    ]  # fmt: skip
    assert re.findall("(valid|replaced)", details) == ["valid", "replaced", "replaced"]
    # The charts and the table show the valid version.
    assert "Quality: 8 measured, 1 estimated, 1 substituted, 1 missing." in page


@pytest.mark.django_db
def test_only_the_newest_corrections_are_listed_and_all_are_counted(
    operator: Client, with_energy: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headend.portal.meter.MAX_CORRECTED", 5)
    assert MAX_CORRECTED > 5
    with_energy.write(corrected(readings_of_meter(), 1, 1.0), corrections=True)
    page = get_page(operator, WINDOW)
    assert "12 readings corrected" in page
    assert "The newest 5 of them:" in page
    assert page.count("<details>") == 5
    assert "16:55:00</time> <span" in page


@pytest.mark.django_db
@pytest.mark.usefixtures("with_energy")
def test_the_page_does_not_count_days_without_corrections(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(DeltaSnapshot, "minute_revisions")
    assert "corrected" not in get_page(operator, WINDOW)


@pytest.mark.django_db
def test_an_engine_that_keeps_one_version_is_not_asked_for_others(
    operator: Client, with_energy: ReadingsRepository, settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with_energy.write(corrected(readings_of_meter(), 1, 1.0), corrections=True)
    monkeypatch.setattr("headend.portal.meter.described_repository", lambda: with_energy)
    settings.READINGS_URL = "timestream://devices/readings?region=us-east-1"
    assert "corrected" not in get_page(operator, WINDOW)


def test_a_register_that_was_set_back_has_no_difference() -> None:
    assert register_difference(10.0, 12.5) == 2.5
    assert register_difference(999_999.0, 1.0) == 2.0
    assert register_difference(4_200.0, 0.0) is None
    without = frame.with_full_columns(hour_of_readings()[0])
    assert registers(without) == []
