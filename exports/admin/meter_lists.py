"""The admin's list of the meter lists that file requests name."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from exports.models import MeterList
from headend.read_only_admin import ReadOnly


@admin.register(MeterList)
class MeterListAdmin(ReadOnly, admin.ModelAdmin[MeterList]):
    """Meter lists, read-only."""

    list_display = ["sha256"]
    search_fields = ["sha256"]
    list_per_page = 50
    show_full_result_count = False
    fields = ["sha256", "device_ids"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[MeterList]:
        """Leave out the device ids, which can have 2 MB each. The page of one list loads them."""
        return super().get_queryset(request).defer("device_ids")
