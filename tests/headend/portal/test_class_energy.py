"""The portal shows the energy of each customer class, if meters have one."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from readings.models import ClassEnergy
from tests.headend.portal.conftest import FIRST_METER, HOUR_START, store_totals
from tests.headend.portal.markup import get_page

pytestmark = pytest.mark.django_db
WINDOW = "/fleet/?start=2023-02-27+16:30&end=2023-02-27+19:00"
HOUR = timedelta(hours=1)


def store_energy(customer_class: str, hours: int, imported: float, exported: float = 0) -> None:
    """Store the energy of a class in some hours, from the hour before the window on."""
    ClassEnergy.objects.bulk_create(
        ClassEnergy(
            hour=HOUR_START + (n - 1) * HOUR, customer_class=customer_class, readings=12,
            import_kwh=imported, export_kwh=exported,
        )
        for n in range(hours)
    )  # fmt: skip


def rows(page: str) -> list[list[str]]:
    """Return the cells of the table of classes."""
    [section] = re.findall(r'aria-labelledby="classes">(.*?)</section>', page)
    return [
        [re.sub(r"<.*?>", "", cell).strip() for cell in re.findall(r"<td.*?>(.*?)</td>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", section)[1:]
    ]


def test_the_page_of_readings_shows_the_hours_of_the_window(operator: Client) -> None:
    store_totals(HOUR_START, 24)
    store_energy("household_pv", 6, 100.0, 50.0)
    store_energy("shop", 6, 6_900.0)
    assert rows(get_page(operator, WINDOW)) == [
        ["Shop", "20.7 MWh", "98.6 %", "0 kWh"],
        ["Household with PV", "300 kWh", "1.4 %", "150 kWh"],
    ]


def test_meters_outside_the_fleet_are_shown_if_others_have_a_class(operator: Client) -> None:
    store_totals(HOUR_START, 24)
    store_energy("", 4, 10.0)
    assert "customer class" not in get_page(operator, WINDOW)
    store_energy("farm", 4, 30.0)
    assert [row[0] for row in rows(get_page(operator, WINDOW))] == ["Farm", "Other meters"]


@pytest.mark.usefixtures("stored_hour")
def test_the_page_of_a_meter_shows_its_class(operator: Client, settings: Settings) -> None:
    path = f"/fleet/meters/{FIRST_METER}/"
    assert "Customer class" not in get_page(operator, path)
    settings.SIMULATION_PROFILE = "mixed"
    assert re.search(r"Customer class: [a-zPV ]+\.", get_page(operator, path))
