"""The profile of a deployment: new ones get ``mixed``, and no upgrade changes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module

import pytest
from django.apps import apps
from django.db import OperationalError, connection
from pytest_django.fixtures import Settings

from readings.ingest import fleet_profile
from readings.ingest.deployment_fleet import deployment_fleet
from readings.ingest.fleet_profile import deployment_profile, record_profile
from readings.models import IntervalTotals, LiveArrival, SimulatedFleet

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def setting_that_was_never_given(settings: Settings) -> Iterator[Settings]:
    """The setting as it is without its environment variable."""
    settings.SIMULATION_PROFILE = ""
    yield settings
    fleet_profile._recorded.cache_clear()


def test_a_new_deployment_has_mixed_customers() -> None:
    migrate_again()
    assert deployment_fleet().profile == "mixed"


def test_a_deployment_of_an_earlier_release_stays_uniform() -> None:
    LiveArrival.objects.create(at=NOON, readings=50)
    migrate_again()
    # The live fleet's records are deleted after a week.
    LiveArrival.objects.all().delete()
    assert deployment_fleet().profile == "uniform"


def test_a_deployment_with_backfilled_readings_of_an_earlier_release_stays_uniform() -> None:
    IntervalTotals.objects.create(time=NOON, readings=50, late=0, kw=1.0)
    migrate_again()
    assert deployment_profile() == "uniform"


def migrate_again() -> None:
    """Do what the migration does when it creates the table."""
    SimulatedFleet.objects.all().delete()
    import_module("readings.migrations.0010_simulated_fleet").record_profile(apps, None)


def test_the_setting_has_priority_and_setup_records_it(
    setting_that_was_never_given: Settings,
) -> None:
    setting_that_was_never_given.SIMULATION_PROFILE = "uniform"
    assert deployment_profile() == "uniform"
    record_profile()
    setting_that_was_never_given.SIMULATION_PROFILE = ""
    assert deployment_profile() == "uniform"


def fail_with(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    def fail() -> str:
        raise OperationalError(message)

    monkeypatch.setattr(fleet_profile, "_recorded", fail)
    monkeypatch.setattr(fail, "cache_clear", lambda: None, raising=False)


def test_commands_before_setup_write_readings_of_a_new_deployment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "vendor", "sqlite")
    fail_with(monkeypatch, "no such table: readings_simulatedfleet")
    assert deployment_profile() == "mixed"


def test_a_database_that_cannot_be_used_does_not_change_the_profile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_with(monkeypatch, "database is locked")
    with pytest.raises(OperationalError, match="database is locked"):
        deployment_profile()
