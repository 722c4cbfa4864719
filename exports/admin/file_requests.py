"""The admin's list and page of file requests, with the actions cancel and request again."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exports import file_requests
from exports.admin.confirmation import run_if_confirmed
from exports.admin.deliveries import DeliveryInline
from exports.admin.downloads import FileFetchInline, FileRemovalInline
from exports.delivery.links import download_path
from exports.models import ExportPart, FileRequest
from exports.templatetags.file_size import file_size
from exports.templatetags.percent import share
from headend.read_only_admin import ReadOnly
from readings.instants import format_instant


class ExportPartInline(ReadOnly, admin.TabularInline[ExportPart, FileRequest]):
    """The parts on a file request's page."""

    model = ExportPart
    extra = 0
    fields = [
        "number", "window", "record_count", "records_done", "state",
        "attempts", "error", "started_at", "written_at",
    ]  # fmt: skip

    @admin.display(description="window (UTC)")
    def window(self, obj: ExportPart) -> SafeString:
        """Return start and end, with microseconds."""
        return _two_lines(format_instant(obj.start), format_instant(obj.end))


@admin.register(FileRequest)
class FileRequestAdmin(ReadOnly, admin.ModelAdmin[FileRequest]):
    """File requests of all suppliers, read-only."""

    list_display = [
        "short_id", "badge", "supplier", "short_window", "readings",
        "progress", "queued", "took", "file_size", "file",
    ]  # fmt: skip
    list_filter = ["status", "supplier", "format", "queued_at"]
    search_fields = ["id", "location", "reason", "supplier__name"]
    date_hierarchy = "queued_at"
    list_per_page = 50
    list_select_related = ["supplier"]
    inlines = [ExportPartInline, DeliveryInline, FileFetchInline, FileRemovalInline]
    actions = ["cancel", "request_again"]
    fieldsets = [
        (None, {"fields": ["id", "supplier", "badge", "progress", "file"]}),
        ("Request", {"fields": ["window", "meters", "arrived_after", "as_of", "columns", "format"]}),
        ("File", {"fields": ["readings", "location", "file_size", "sha256"]}),
        (
            "Times",
            {
                "fields": [
                    "queued_at", "submitted_at", "running_at", "finished_at", "took",
                    "expires_at", "expired_at",
                ]
            },
        ),
    ]  # fmt: skip

    def view_on_site(self, obj: FileRequest) -> str:
        """Return the URL of the file request's page in the portal."""
        return reverse("file-request", args=[obj.pk])

    def get_queryset(self, request: HttpRequest) -> QuerySet[FileRequest]:
        """Add the progress of all rows in the same query."""
        return file_requests.with_progress(super().get_queryset(request))

    @admin.display(description="request", ordering="id")
    def short_id(self, obj: FileRequest) -> SafeString:
        """Return the first characters of the id; the page of the request shows all of it."""
        return format_html('<code title="{}">{}…</code>', obj.pk, str(obj.pk)[:8])

    @admin.display(description="status", ordering="status")
    def badge(self, obj: FileRequest) -> SafeString:
        """Return the status as a coloured badge, followed by the reason if there is one."""
        badge = format_html('<span class="badge {}">{}</span>', obj.status, obj.status)
        if not obj.reason:
            return badge
        return format_html('{}<div class="muted reason">{}</div>', badge, obj.reason)

    @admin.display(description="window (UTC)", ordering="start")
    def short_window(self, obj: FileRequest) -> SafeString:
        """Return start and end without fractions of a second, which fits into the list."""
        return _two_lines(f"{obj.start:%Y-%m-%d %H:%M:%S}", f"{obj.end:%Y-%m-%d %H:%M:%S}")

    @admin.display(description="window (UTC)")
    def window(self, obj: FileRequest) -> SafeString:
        """Return start and end, with microseconds."""
        return _two_lines(format_instant(obj.start), format_instant(obj.end))

    @admin.display(description="meters")
    def meters(self, obj: FileRequest) -> str:
        """Return the number of meters that the request names."""
        return intcomma(obj.meter_count) if obj.meter_count else "all"

    @admin.display(description="readings", ordering="record_count")
    def readings(self, obj: FileRequest) -> str | None:
        """Return the number of readings, or None before they are counted."""
        return None if obj.record_count is None else intcomma(obj.record_count)

    @admin.display(description="progress")
    def progress(self, obj: FileRequest) -> SafeString:
        """Return the written share of the readings as a progress bar."""
        written = file_requests.progress(obj)
        return format_html(
            '<progress max="1" value="{}" aria-label="written"></progress> {}',
            f"{written:.3f}",
            share(written),
        )

    @admin.display(description="size", ordering="size")
    def file_size(self, obj: FileRequest) -> str | None:
        """Return the size of the file, or None before it is published."""
        return None if obj.size is None else file_size(obj.size)

    @admin.display(description="queued (UTC)", ordering="queued_at")
    def queued(self, obj: FileRequest) -> SafeString:
        """Return the date and the time at which the request was queued."""
        return _two_lines(f"{obj.queued_at:%Y-%m-%d}", f"{obj.queued_at:%H:%M:%S}")

    @admin.display(description="duration")
    def took(self, obj: FileRequest) -> str | None:
        """Return the seconds from queued to final."""
        return None if obj.duration is None else f"{obj.duration.total_seconds():,.1f} s"

    @admin.display(description="file")
    def file(self, obj: FileRequest) -> SafeString | None:
        """Return the download link, or None without a file."""
        if not obj.has_file:
            return None
        return format_html('<a href="{}">Download</a>', download_path(obj))

    @admin.action(description="Cancel selected file requests", permissions=["act"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[FileRequest]) -> HttpResponse | None:
        """Cancel the requests that are not final, after the operator has confirmed it."""
        return run_if_confirmed(
            self,
            request,
            queryset,
            action="cancel",
            question="Cancel these file requests? Suppliers will see them as failed.",
            act=file_requests.cancel,
            success="{} cancelled.",
        )

    @admin.action(description="Request selected files again", permissions=["act"])
    def request_again(self, request: HttpRequest, queryset: QuerySet[FileRequest]) -> None:
        """Queue a new file request for each of the same windows."""
        queued = 0
        for earlier in queryset.select_related("supplier"):
            try:
                file_requests.request_again(earlier)
            except (file_requests.QueueFullError, file_requests.SupplierInactiveError) as error:
                messages.error(request, f"{earlier}: {error}")
            else:
                queued += 1
        if queued:
            messages.success(request, f"{queued} queued as new file requests.")

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may cancel file requests and request files again."""
        return request.user.has_perm("exports.change_filerequest")


def _two_lines(first: str, second: str) -> SafeString:
    return format_html('<span class="nowrap">{}<br>{}</span>', first, second)
