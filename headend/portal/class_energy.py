"""The energy of each customer class in a window, for the overview and the page of readings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum

from headend.portal.energy_units import energy_as_text
from readings.models import ClassEnergy

_LABELS = {
    "": "other meters",
    "household_heat_pump": "household with heat pump",
    "household_electric_car": "household with electric car",
    "household_pv": "household with PV",
}


@dataclass(frozen=True)
class EnergyOfClass:
    """The energy of a class as text, and its share of the imported energy of all classes in percent."""

    name: str
    imported: str
    exported: str
    percent: float


def energy_by_class(start: datetime, end: datetime) -> list[EnergyOfClass]:
    """Return the energy of each class, the largest import first. Takes one query.

    It counts the hour in which the window begins, and all hours that begin in the window. The list is empty if no meter
    has a class. Meters without a class are called *other meters*.
    """
    hours = ClassEnergy.objects.filter(
        hour__gte=start.replace(minute=0, second=0, microsecond=0), hour__lt=end
    )
    sums = (
        hours.order_by()
        .values("customer_class")
        .annotate(imported=Sum("import_kwh"), exported=Sum("export_kwh"))
        .order_by("-imported")
        .values_list("customer_class", "imported", "exported")
    )
    rows = [row for row in sums if row[1] or row[2]]
    if not any(name for name, _, _ in rows):
        return []
    total = sum(imported for _, imported, _ in rows)
    return [
        EnergyOfClass(
            class_label(name),
            energy_as_text(imported),
            energy_as_text(exported),
            round(100 * imported / total, 1) if total else 0.0,
        )
        for name, imported, exported in rows
    ]


def class_label(customer_class: str) -> str:
    """Return the name of a customer class for the page, such as ``household with PV``."""
    return _LABELS.get(customer_class, customer_class.replace("_", " "))
