"""Django admin for suppliers, their keys, and the history of file requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exports import requests, transitions
from exports.credentials import PREFIX_LENGTH, digest, new_api_key
from exports.delivery.links import download_path
from exports.models import ApiKey, ExportPart, FileRequest, SshKey, Supplier

admin.site.site_header = "headend"
admin.site.site_title = "headend"
admin.site.index_title = "Suppliers and their files"


class ReadOnly(admin.options.BaseModelAdmin[Any]):
    """What happened is looked at, not edited."""

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Everything shown."""
        return [str(name) for name in flatten_fieldsets(self.get_fieldsets(request, obj))]

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody adds history."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody rewrites it."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody removes it."""
        return False


class SshKeyInline(admin.TabularInline[SshKey, Supplier]):
    """A supplier's SSH keys."""

    model = SshKey
    extra = 0
    fields = ["label", "public_key", "fingerprint", "last_used_at"]
    readonly_fields = ["fingerprint", "last_used_at"]


class ApiKeyInline(ReadOnly, admin.TabularInline[ApiKey, Supplier]):
    """A supplier's API keys; a new one is made on its own page, where it is shown once."""

    model = ApiKey
    extra = 0
    fields = ["label", "prefix", "created_at", "last_used_at", "revoked_at"]


@admin.register(Supplier)
class SupplierAdmin(admin.ModelAdmin[Supplier]):
    """Suppliers, with their keys."""

    list_display = ["name", "active", "created_at"]
    list_filter = ["active"]
    search_fields = ["name"]
    inlines = [ApiKeyInline, SshKeyInline]


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin[ApiKey]):
    """API keys: made, shown once, revoked; never changed or removed."""

    list_display = ["__str__", "supplier", "label", "created_at", "last_used_at", "revoked_at"]
    list_filter = ["supplier", ("revoked_at", admin.EmptyFieldListFilter)]
    search_fields = ["prefix", "label", "supplier__name"]
    list_select_related = ["supplier"]
    fields = ["supplier", "label"]
    actions = ["revoke"]

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A key in use is revoked, not edited."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A key's row stays, to tell whose it was."""
        return False

    def save_model(
        self,
        request: HttpRequest,
        obj: ApiKey,
        form: ModelForm[ApiKey],
        change: bool,  # noqa: FBT001 (Django's own signature)
    ) -> None:
        """Make the key, keep its hash, and show it this once."""
        key = new_api_key()
        obj.prefix, obj.digest = key[:PREFIX_LENGTH], digest(key)
        super().save_model(request, obj, form, change)
        messages.warning(
            request,
            format_html(
                "The API key of {} is <code>{}</code>. It is shown only now.", obj.supplier, key
            ),
        )

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        """Refuse these keys from now on, once the operator has confirmed it."""
        return _confirmed(
            self,
            request,
            queryset,
            action="revoke",
            question="Revoke these API keys? Whoever uses them is refused from then on.",
            act=lambda key: bool(
                ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(
                    revoked_at=timezone.now()
                )
            ),
            done="{} revoked.",
        )


@admin.register(SshKey)
class SshKeyAdmin(admin.ModelAdmin[SshKey]):
    """SSH keys."""

    list_display = ["fingerprint", "supplier", "label", "created_at", "last_used_at"]
    list_filter = ["supplier"]
    search_fields = ["fingerprint", "label", "supplier__name"]
    list_select_related = ["supplier"]
    readonly_fields = ["fingerprint", "last_used_at"]


class ExportPartInline(ReadOnly, admin.TabularInline[ExportPart, FileRequest]):
    """A request's parts."""

    model = ExportPart
    extra = 0
    fields = [
        "number", "start", "end", "record_count", "records_done", "state",
        "attempts", "error", "started_at", "written_at",
    ]  # fmt: skip


@admin.register(FileRequest)
class FileRequestAdmin(ReadOnly, admin.ModelAdmin[FileRequest]):
    """What suppliers asked to have as a file, and what became of it."""

    list_display = [
        "__str__", "badge", "supplier", "window", "record_count",
        "progress", "megabytes", "queued_at", "took", "reason", "file",
    ]  # fmt: skip
    list_filter = ["status", "supplier", "format", "queued_at"]
    search_fields = ["id", "location", "reason", "supplier__name"]
    date_hierarchy = "queued_at"
    list_per_page = 50
    list_select_related = ["supplier"]
    inlines = [ExportPartInline]
    actions = ["cancel", "run_again"]
    fieldsets = [
        (None, {"fields": ["supplier", "badge", "reason", "progress", "file"]}),
        ("Asked for", {"fields": ["start", "end", "as_of", "format"]}),
        ("File", {"fields": ["record_count", "location", "megabytes", "sha256"]}),
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[FileRequest]:
        """With the progress of all rows in the same query."""
        return requests.with_progress(super().get_queryset(request))

    @admin.display(description="status", ordering="status")
    def badge(self, obj: FileRequest) -> SafeString:
        """The status, coloured."""
        return format_html('<span class="badge {}">{}</span>', obj.status, obj.status)

    @admin.display(description="window (UTC)", ordering="start")
    def window(self, obj: FileRequest) -> SafeString:
        """Both bounds."""
        bounds = [f"{instant:%Y-%m-%d %H:%M:%S}" for instant in (obj.start, obj.end)]
        return format_html('<span class="nowrap">{}<br>{}</span>', *bounds)

    @admin.display(description="progress")
    def progress(self, obj: FileRequest) -> str:
        """How much is written."""
        return f"{requests.progress(obj):.0%}"

    @admin.display(description="size", ordering="size")
    def megabytes(self, obj: FileRequest) -> str:
        """The file's size."""
        return "" if obj.size is None else filesizeformat(obj.size)

    @admin.display(description="took")
    def took(self, obj: FileRequest) -> str:
        """From asked for to final."""
        return "" if obj.took is None else f"{obj.took.total_seconds():.1f} s"

    @admin.display(description="file")
    def file(self, obj: FileRequest) -> SafeString | str:
        """The download link."""
        if not obj.has_file:
            return ""
        return format_html('<a href="{}">download</a>', download_path(obj))

    @admin.action(description="Cancel the selected requests", permissions=["act"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[FileRequest]) -> HttpResponse | None:
        """End what is not final, once the operator has confirmed it."""
        return _confirmed(
            self,
            request,
            queryset,
            action="cancel",
            question="Cancel these requests? Their suppliers see them as failed.",
            act=lambda chosen: transitions.cancel(chosen.pk),
            done="{} cancelled.",
        )

    @admin.action(description="Run the selected requests again", permissions=["act"])
    def run_again(self, request: HttpRequest, queryset: QuerySet[FileRequest]) -> None:
        """Queue new requests for the same windows."""
        again = [requests.run_again(chosen) for chosen in queryset.select_related("supplier")]
        messages.success(request, f"{len(again)} queued again, as new requests.")

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Who may end or repeat a request."""
        return request.user.has_perm("exports.change_filerequest")


def _confirmed(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    chosen: QuerySet[Any],
    *,
    action: str,
    question: str,
    act: Callable[[Any], bool],
    done: str,
) -> HttpResponse | None:
    """Ask first; then ``act`` on each row and say for how many it counted."""
    if "confirmed" in request.POST:
        count = sum(act(row) for row in chosen)
        messages.success(request, done.format(count))
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": question,
        "opts": model_admin.model._meta,
        "action": action,
        "chosen": chosen,
    }
    return render(request, "admin/confirm_action.html", context)
