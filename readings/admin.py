"""What came in, as figures: the intervals' totals and the live fleet's arrivals."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from headend.read_only_admin import ReadOnly
from readings.models import IntervalTotals, LiveArrival


@admin.register(IntervalTotals)
class IntervalTotalsAdmin(ReadOnly, admin.ModelAdmin[IntervalTotals]):
    """The figures behind the portal's pictures."""

    list_display = ["time", "readings", "late", "kw", "its_day"]
    list_filter = ["time"]
    date_hierarchy = "time"
    ordering = ["-time"]
    list_per_page = 100
    show_full_result_count = False
    fields = ["time", "readings", "late", "kw"]

    @admin.display(description="day")
    def its_day(self, obj: IntervalTotals) -> SafeString:
        """The way to the day's curve in the portal."""
        day = f"{obj.time:%Y-%m-%d}"
        link = reverse("fleet", query={"start": day, "end": f"{day} 23:59"})
        return format_html('<a href="{}">{}</a>', link, day)


@admin.register(LiveArrival)
class LiveArrivalAdmin(ReadOnly, admin.ModelAdmin[LiveArrival]):
    """What the simulated fleet has sent, live."""

    list_display = ["at", "readings", "kept_at"]
    list_filter = ["at"]
    date_hierarchy = "at"
    list_per_page = 100
    show_full_result_count = False
    fields = ["at", "readings", "kept_at"]
