"""Admin pages for what was derived from the readings, and for the live fleet. All are read-only."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from headend.read_only_admin import ReadOnly
from readings.models import (
    AwaitedInterval,
    ClassEnergy,
    DescribedTable,
    IntervalTotals,
    LiveArrival,
    Meter,
    SimulatedFleet,
)


@admin.register(IntervalTotals)
class IntervalTotalsAdmin(ReadOnly, admin.ModelAdmin[IntervalTotals]):
    """The numbers that the portal's charts show."""

    list_display = ["time", "readings", "late", "kw", "import_kwh", "export_kwh", "day_in_portal"]
    list_filter = ["time"]
    date_hierarchy = "time"
    ordering = ["-time"]
    list_per_page = 100
    show_full_result_count = False
    fields = ["time", "readings", "late", "kw", "import_kwh", "export_kwh", "revision"]

    @admin.display(description="day")
    def day_in_portal(self, obj: IntervalTotals) -> SafeString:
        """Return a link to the day's chart in the portal."""
        day = f"{obj.time:%Y-%m-%d}"
        link = reverse("fleet", query={"start": day, "end": f"{day} 23:59"})
        return format_html('<a href="{}">{}</a>', link, day)


@admin.register(ClassEnergy)
class ClassEnergyAdmin(ReadOnly, admin.ModelAdmin[ClassEnergy]):
    """The energy of each customer class in each hour."""

    list_display = ["hour", "customer_class", "readings", "import_kwh", "export_kwh"]
    list_filter = ["customer_class", "hour"]
    date_hierarchy = "hour"
    ordering = ["-hour", "customer_class"]
    list_per_page = 100
    show_full_result_count = False
    fields = ["hour", "customer_class", "readings", "import_kwh", "export_kwh", "revision"]


@admin.register(Meter)
class MeterAdmin(ReadOnly, admin.ModelAdmin[Meter]):
    """The meters that have ever sent readings."""

    list_display = ["device_id", "last_day", "last_time"]
    list_per_page = 100
    show_full_result_count = False
    search_fields = ["device_id__startswith"]
    fields = ["device_id", "last_day", "last_time"]


@admin.register(LiveArrival)
class LiveArrivalAdmin(ReadOnly, admin.ModelAdmin[LiveArrival]):
    """The instants at which readings of the live fleet were written."""

    list_display = ["at", "readings", "kept_at"]
    list_filter = ["at"]
    date_hierarchy = "at"
    list_per_page = 100
    show_full_result_count = False
    fields = ["at", "readings", "kept_at"]


@admin.register(AwaitedInterval)
class AwaitedIntervalAdmin(ReadOnly, admin.ModelAdmin[AwaitedInterval]):
    """The intervals of a backfill whose readings arrive later."""

    list_display = ["time"]
    date_hierarchy = "time"
    list_per_page = 100
    show_full_result_count = False
    fields = ["time"]


@admin.register(DescribedTable)
class DescribedTableAdmin(ReadOnly, admin.ModelAdmin[DescribedTable]):
    """The table of readings from which the other tables were derived."""

    list_display = ["table_id"]
    fields = ["table_id"]


@admin.register(SimulatedFleet)
class SimulatedFleetAdmin(ReadOnly, admin.ModelAdmin[SimulatedFleet]):
    """The profile of the simulated fleet."""

    list_display = ["profile"]
    fields = ["profile"]
