"""Suppliers, with their keys."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from exports.admin.deliveries import PushTargetInline, WebhookInline
from exports.admin.keys import ApiKeyInline, SshKeyInline
from exports.models import Supplier


@admin.register(Supplier)
class SupplierAdmin(admin.ModelAdmin[Supplier]):
    """Suppliers, with their keys."""

    list_display = ["name", "active", "requests", "most_running", "most_queued", "created_at"]
    list_filter = ["active"]
    search_fields = ["name"]
    fields = ["name", "active", "most_running", "most_queued", "new_api_key"]
    readonly_fields = ["new_api_key"]
    inlines = [ApiKeyInline, SshKeyInline, PushTargetInline, WebhookInline]

    def view_on_site(self, obj: Supplier) -> str:
        """Its page in the portal."""
        return reverse("supplier", args=[obj.name])

    def get_queryset(self, request: HttpRequest) -> QuerySet[Supplier]:
        """With how much each has asked for."""
        return super().get_queryset(request).annotate(asked=Count("file_requests"))

    @admin.display(description="file requests", ordering="asked")
    def requests(self, obj: Supplier) -> SafeString:
        """How many, and the way to them in the portal."""
        link = reverse("requests", query={"supplier": obj.name})
        return format_html('<a href="{}">{}</a>', link, getattr(obj, "asked", 0))

    @admin.display(description="new API key")
    def new_api_key(self, obj: Supplier) -> SafeString | str:
        """The way to the page that makes and shows one."""
        if obj.pk is None:
            return "once the supplier is saved"
        link = reverse("admin:exports_apikey_add", query={"supplier": obj.pk})
        return format_html('<a href="{}">make one</a>', link)
