"""The history of file requests, and the two things that can be done about one."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exports import file_requests
from exports.admin.confirmation import confirmed
from exports.admin.deliveries import DeliveryInline
from exports.admin.fetches import FileFetchInline
from exports.delivery.links import download_path
from exports.models import ExportPart, FileRequest
from headend.read_only_admin import ReadOnly
from readings.frame import format_instant


class ExportPartInline(ReadOnly, admin.TabularInline[ExportPart, FileRequest]):
    """A request's parts."""

    model = ExportPart
    extra = 0
    fields = [
        "number", "window", "record_count", "records_done", "state",
        "attempts", "error", "started_at", "written_at",
    ]  # fmt: skip

    @admin.display(description="window (UTC)")
    def window(self, obj: ExportPart) -> SafeString:
        """Both bounds, to the microsecond."""
        return _two_lines(format_instant(obj.start), format_instant(obj.end))


@admin.register(FileRequest)
class FileRequestAdmin(ReadOnly, admin.ModelAdmin[FileRequest]):
    """What suppliers asked to have as a file, and what became of it."""

    list_display = [
        "short_id", "badge", "supplier", "seconds", "readings",
        "progress", "asked", "took", "file_size", "file",
    ]  # fmt: skip
    list_filter = ["status", "supplier", "format", "queued_at"]
    search_fields = ["id", "location", "reason", "supplier__name"]
    date_hierarchy = "queued_at"
    list_per_page = 50
    list_select_related = ["supplier"]
    inlines = [ExportPartInline, DeliveryInline, FileFetchInline]
    actions = ["cancel", "run_again"]
    fieldsets = [
        (None, {"fields": ["id", "supplier", "badge", "progress", "file"]}),
        ("Asked for", {"fields": ["window", "as_of", "format"]}),
        ("File", {"fields": ["readings", "location", "file_size", "sha256"]}),
        (
            "When",
            {
                "fields": [
                    "queued_at", "submitted_at", "running_at", "finished_at", "took",
                    "expires_at", "expired_at",
                ]
            },
        ),
    ]  # fmt: skip

    def view_on_site(self, obj: FileRequest) -> str:
        """Its page in the portal."""
        return reverse("request", args=[obj.pk])

    def get_queryset(self, request: HttpRequest) -> QuerySet[FileRequest]:
        """With the progress of all rows in the same query."""
        return file_requests.with_progress(super().get_queryset(request))

    @admin.display(description="request", ordering="id")
    def short_id(self, obj: FileRequest) -> SafeString:
        """Enough of the id to tell rows apart; all of it is on the request's own page."""
        return format_html('<code title="{}">{}…</code>', obj.pk, str(obj.pk)[:8])

    @admin.display(description="status", ordering="status")
    def badge(self, obj: FileRequest) -> SafeString:
        """The status, coloured, with the reason why it came to that."""
        badge = format_html('<span class="badge {}">{}</span>', obj.status, obj.status)
        if not obj.reason:
            return badge
        return format_html('{}<div class="faint reason">{}</div>', badge, obj.reason)

    @admin.display(description="window (UTC)", ordering="start")
    def seconds(self, obj: FileRequest) -> SafeString:
        """Both bounds, to the second: what a list has room for."""
        return _two_lines(f"{obj.start:%Y-%m-%d %H:%M:%S}", f"{obj.end:%Y-%m-%d %H:%M:%S}")

    @admin.display(description="window (UTC)")
    def window(self, obj: FileRequest) -> SafeString:
        """Both bounds, to the microsecond."""
        return _two_lines(format_instant(obj.start), format_instant(obj.end))

    @admin.display(description="readings", ordering="record_count")
    def readings(self, obj: FileRequest) -> str | None:
        """How many, once they are counted."""
        return None if obj.record_count is None else intcomma(obj.record_count)

    @admin.display(description="progress")
    def progress(self, obj: FileRequest) -> SafeString:
        """How much is written."""
        written = file_requests.progress(obj)
        return format_html(
            '<progress max="1" value="{}" aria-label="written"></progress> {}',
            f"{written:.3f}",
            f"{written:.0%}",
        )

    @admin.display(description="size", ordering="size")
    def file_size(self, obj: FileRequest) -> str | None:
        """The file's size."""
        return None if obj.size is None else filesizeformat(obj.size)

    @admin.display(description="asked (UTC)", ordering="queued_at")
    def asked(self, obj: FileRequest) -> SafeString:
        """When it was queued."""
        return _two_lines(f"{obj.queued_at:%Y-%m-%d}", f"{obj.queued_at:%H:%M:%S}")

    @admin.display(description="took")
    def took(self, obj: FileRequest) -> str | None:
        """From asked for to final."""
        return None if obj.took is None else f"{obj.took.total_seconds():.1f} s"

    @admin.display(description="file")
    def file(self, obj: FileRequest) -> SafeString | None:
        """The download link."""
        if not obj.has_file:
            return None
        return format_html('<a href="{}">Download</a>', download_path(obj))

    @admin.action(description="Cancel the selected requests", permissions=["act"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[FileRequest]) -> HttpResponse | None:
        """End what is not final, once the operator has confirmed it."""
        return confirmed(
            self,
            request,
            queryset,
            action="cancel",
            question="Cancel these requests? Their suppliers see them as failed.",
            act=file_requests.cancel,
            done="{} cancelled.",
        )

    @admin.action(description="Run the selected requests again", permissions=["act"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[FileRequest]) -> None:
        """Queue new requests for the same windows."""
        again = [file_requests.run_again(chosen) for chosen in queryset.select_related("supplier")]
        messages.success(request, f"{len(again)} queued again, as new requests.")

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Who may end or repeat a request."""
        return request.user.has_perm("exports.change_filerequest")


def _two_lines(first: str, second: str) -> SafeString:
    return format_html('<span class="nowrap">{}<br>{}</span>', first, second)
