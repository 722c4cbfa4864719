"""The settings of the simulated fleet, and where its profile is used."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from readings import frame
from readings.ingest import live
from readings.ingest.deployment_fleet import customer_class_of, deployment_fleet
from readings.instants import format_instant
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.simulation.town import DeliveryCurve, Town
from tests.readings.ingest.stored_readings import all_readings

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
TOWN = Town("household=30,household_pv=70", "America/New_York", 40)
MIXED = Fleet(devices=60, profile="mixed", town=TOWN)


@pytest.fixture
def mixed_settings(settings: Settings) -> Settings:
    settings.SIMULATION_PROFILE = "mixed"
    settings.SIMULATION_DEVICES = 60
    settings.SIMULATION_SHARES = TOWN.shares
    settings.SIMULATION_TIMEZONE = TOWN.timezone
    settings.SIMULATION_LATITUDE = TOWN.latitude
    return settings


def test_the_default_town_has_the_default_shares() -> None:
    assert deployment_fleet().town == Town()


def test_the_settings_describe_the_town(mixed_settings: Settings) -> None:
    assert deployment_fleet() == MIXED


def test_the_customer_class_of_a_meter_follows_from_its_id(mixed_settings: Settings) -> None:
    ids = MIXED.meters.device_id.to_list()
    in_order = dict(zip(ids, customer_class_of(ids), strict=True))
    assert set(in_order.values()) == {"household", "household_pv"}

    others = ["", "4102335210", "~", str(uuid.uuid3(uuid.NAMESPACE_OID, "61"))]
    asked = [ids[59], others[0], ids[0], ids[7], ids[0], *others[1:]]
    assert customer_class_of(asked) == [in_order.get(each) for each in asked]
    assert customer_class_of([]) == []


def test_meters_of_a_uniform_fleet_have_no_customer_class(settings: Settings) -> None:
    settings.SIMULATION_PROFILE = "uniform"
    assert customer_class_of(Fleet(devices=2).meters.device_id) == [None, None]


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("SIMULATION_SHARES", "household=99", "SIMULATION_SHARES: the percentages add up to 99, not to 100."),
        ("SIMULATION_DELIVERY", "95,90,98,99", "SIMULATION_DELIVERY: the four percentages must be ascending"),
        ("SIMULATION_TIMEZONE", "Mars/Olympus", "SIMULATION_TIMEZONE: 'Mars/Olympus' is not a time zone; "),
    ],
)  # fmt: skip
def test_a_wrong_town_is_one_error_of_the_checks_and_of_every_command(
    settings: Settings, setting: str, value: str, problem: str
) -> None:
    setattr(settings, setting, value)

    [found] = [message for message in run_checks() if message.id == "readings.E002"]

    assert found.msg.startswith(problem)
    assert "\n" not in found.msg
    with pytest.raises(ImproperlyConfigured, match=f"^{setting}: "):
        deployment_fleet()


@pytest.mark.django_db
def test_the_live_fleet_writes_readings_of_the_profile(
    store: ReadingsRepository, mixed_settings: Settings
) -> None:
    live.write_due_readings(deployment_fleet(), store, NOON)
    live.write_due_readings(deployment_fleet(), store, NOON + timedelta(minutes=5))

    stored = all_readings(store, frame.FULL_COLUMNS)
    assert len(stored) == 120
    assert stored.head(60).equals(readings_for(MIXED, NOON))


@pytest.mark.django_db
def test_the_live_fleet_delivers_readings_in_stages(store: ReadingsRepository) -> None:
    curve = DeliveryCurve((50, 60, 70, 90))
    fleet = Fleet(devices=60, interval_minutes=360, delivery=curve)
    for passed in range(0, 84, 12):
        now = NOON + timedelta(hours=passed)
        live.write_due_readings(fleet, store, now)

        stored = all_readings(store)
        expected = [readings_for(fleet, time, now) for time in fleet.intervals(NOON, now)]
        assert stored.equals(pl.concat(expected))
    assert len(stored.filter(pl.col("time") == NOON)) < 60


@pytest.mark.django_db
def test_a_backfill_writes_readings_of_the_profile(
    store: ReadingsRepository, mixed_settings: Settings
) -> None:
    window = ["--start", "2026-04-01 12:00", "--end", "2026-04-01 12:05"]
    call_command("backfill", *window)
    first = datetime(2026, 4, 1, 12, tzinfo=UTC)
    assert all_readings(store, frame.FULL_COLUMNS).head(60).equals(readings_for(MIXED, first))


@pytest.mark.django_db
def test_the_options_of_backfill_choose_the_profile(store: ReadingsRepository) -> None:
    call_command(
        "backfill",
        *["--start", "2026-04-01 12:00", "--end", "2026-04-01 12:00", "--devices", "60"],
        *["--profile", "mixed", "--shares", TOWN.shares, "--timezone", TOWN.timezone],
        *["--latitude", "40"],
    )
    expected = readings_for(MIXED, datetime(2026, 4, 1, 12, tzinfo=UTC))
    assert all_readings(store, frame.FULL_COLUMNS).equals(expected)


@pytest.mark.django_db
def test_an_option_of_backfill_chooses_the_delivery(store: ReadingsRepository) -> None:
    midnight = datetime(2026, 4, 1, tzinfo=UTC)
    times = format_instant(midnight)
    call_command(
        *["backfill", "--start", times, "--end", times, "--devices", "60"],
        *["--delivery", "50,60,70,90"],
    )
    delivered = readings_for(
        Fleet(devices=60, delivery=DeliveryCurve((50, 60, 70, 90))), midnight, timezone.now()
    )
    assert all_readings(store).equals(delivered)
    assert 0 < len(delivered) < 60


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--shares", "shop=7"),
        ("--delivery", "95,90,98,99"),
        ("--timezone", "Nowhere"),
        ("--latitude", "80"),
        ("--profile", "flat"),
    ],
)
def test_a_wrong_option_of_backfill_is_refused_with_one_line(option: str, value: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("backfill", "--start", "2026-04-01", option, value)
    assert option[2:] in str(refused.value)
    assert "\n" not in str(refused.value)
