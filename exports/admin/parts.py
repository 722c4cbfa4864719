"""The admin's list of all parts, to find slow ones and those that needed several attempts."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exports.models import ExportPart
from headend.read_only_admin import ReadOnly


@admin.register(ExportPart)
class ExportPartAdmin(ReadOnly, admin.ModelAdmin[ExportPart]):
    """Parts of file requests, read-only."""

    list_display = [
        "__str__", "state", "record_count", "records_done", "attempts", "error",
        "started_at", "written_at", "request_link",
    ]  # fmt: skip
    list_filter = ["state", "started_at"]
    search_fields = ["request__id", "error"]
    date_hierarchy = "started_at"
    list_per_page = 50
    show_full_result_count = False
    fields = [
        "request_link", "number", "start", "end", "record_count", "records_done", "state",
        "attempts", "error", "size", "started_at", "written_at", "leased_until",
    ]  # fmt: skip

    @admin.display(description="request", ordering="request")
    def request_link(self, obj: ExportPart) -> SafeString:
        """Return a link to the file request in the portal."""
        link = reverse("file-request", args=[obj.request_id])
        return format_html('<a href="{}">{}…</a>', link, str(obj.request_id)[:8])
