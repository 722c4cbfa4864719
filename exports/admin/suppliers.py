"""The admin's page of a supplier, with its keys, push target and webhook."""

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
    """Suppliers, with their API keys, SSH keys, push target and webhook."""

    list_display = ["name", "active", "requests", "max_running", "max_queued", "created_at"]
    list_filter = ["active", "can_remove_files"]
    search_fields = ["name"]
    fields = ["name", "active", "max_running", "max_queued", "can_remove_files", "new_api_key"]
    readonly_fields = ["new_api_key"]
    inlines = [ApiKeyInline, SshKeyInline, PushTargetInline, WebhookInline]

    def view_on_site(self, obj: Supplier) -> str:
        """Return the URL of the supplier's page in the portal."""
        return reverse("supplier", args=[obj.name])

    def get_queryset(self, request: HttpRequest) -> QuerySet[Supplier]:
        """Add the number of file requests of each supplier."""
        return super().get_queryset(request).annotate(request_count=Count("file_requests"))

    @admin.display(description="file requests", ordering="request_count")
    def requests(self, obj: Supplier) -> SafeString:
        """Return the number of file requests, as a link to their list in the portal."""
        link = reverse("file-requests", query={"supplier": obj.name})
        return format_html('<a href="{}">{}</a>', link, getattr(obj, "request_count", 0))

    @admin.display(description="new API key")
    def new_api_key(self, obj: Supplier) -> SafeString | str:
        """Return a link to the page that creates a key and shows it once."""
        if obj.pk is None:
            return "available after you save the supplier"
        link = reverse("admin:exports_apikey_add", query={"supplier": obj.pk})
        return format_html('<a href="{}">Create API key</a>', link)
