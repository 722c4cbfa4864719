"""Where files and news are brought, and how each delivery went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest

from exports.delivery import push, webhook
from exports.models import Delivery, DeliveryAttempt, FileRequest, PushTarget, Supplier, Webhook
from headend.read_only_admin import ReadOnly

HTTPS_UNLESS_SAID: Mapping[type[models.Field[Any, Any]], Mapping[str, Any]] = {
    models.URLField: {"assume_scheme": "https"}
}


class PushTargetInline(admin.StackedInline[PushTarget, Supplier]):
    """A supplier's push target."""

    model = PushTarget
    extra = 0
    fields = ["active", "host", "port", "user", "host_key", "folder", "our_public_key"]
    readonly_fields = ["our_public_key"]

    @admin.display(description="our public key", empty_value="shown once it is saved")
    def our_public_key(self, obj: PushTarget) -> str | None:
        """What the supplier has to let in."""
        return push.public_key(obj.supplier) if obj.pk else None


class WebhookInline(admin.StackedInline[Webhook, Supplier]):
    """A supplier's webhook."""

    model = Webhook
    extra = 0
    fields = ["active", "url"]
    formfield_overrides = HTTPS_UNLESS_SAID


@admin.register(PushTarget)
class PushTargetAdmin(admin.ModelAdmin[PushTarget]):
    """Push targets, to be tried out."""

    list_display = ["supplier", "__str__", "folder", "active"]
    list_filter = ["active"]
    list_select_related = ["supplier"]
    actions = ["test_connection"]

    @admin.action(description="Test the connection", permissions=["change"])
    def test_connection(self, request: HttpRequest, queryset: QuerySet[PushTarget]) -> None:
        """Log in to each, and say how it went."""
        for target in queryset:
            try:
                messages.success(request, push.test_connection(target))
            except push.PushError as error:
                messages.error(request, str(error))


@admin.register(Webhook)
class WebhookAdmin(admin.ModelAdmin[Webhook]):
    """Webhooks, to be tried out."""

    list_display = ["supplier", "url", "active"]
    list_filter = ["active"]
    list_select_related = ["supplier"]
    fields = ["supplier", "url", "active"]
    formfield_overrides = HTTPS_UNLESS_SAID
    actions = ["send_test", "show_secret"]

    @admin.action(description="Send a test", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        """Call each, and say what it answered."""
        for each in queryset:
            try:
                messages.success(request, f"{each}: {webhook.send_test(each)}")
            except webhook.WebhookError as error:
                messages.error(request, f"{each}: {error}")

    @admin.action(description="Show the signing secret", permissions=["change"])
    def show_secret(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        """What the receiver checks signatures with."""
        for each in queryset:
            messages.warning(
                request, f"{each.supplier} signs with {webhook.signing_secret(each.supplier)}"
            )


class DeliveryAttemptInline(ReadOnly, admin.TabularInline[DeliveryAttempt, Delivery]):
    """The tries of a delivery."""

    model = DeliveryAttempt
    extra = 0
    fields = ["number", "target", "started_at", "ended_at", "succeeded", "outcome"]


class DeliveryInline(ReadOnly, admin.TabularInline[Delivery, FileRequest]):
    """How a request's file and news were brought."""

    model = Delivery
    extra = 0
    fields = ["kind", "state", "tries", "created_at", "finished_at"]
    show_change_link = True


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(ReadOnly, admin.ModelAdmin[DeliveryAttempt]):
    """Every try of every delivery."""

    list_display = ["started_at", "delivery", "number", "target", "succeeded", "outcome"]
    list_filter = ["succeeded", "delivery__kind", "started_at"]
    search_fields = ["target", "outcome", "delivery__request__id"]
    date_hierarchy = "started_at"
    list_per_page = 50
    list_select_related = ["delivery"]
    fields = ["delivery", "number", "target", "started_at", "ended_at", "succeeded", "outcome"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, admin.ModelAdmin[Delivery]):
    """What was brought to whom."""

    list_display = ["created_at", "kind", "supplier", "state", "tries", "finished_at", "request"]
    list_filter = ["kind", "state", "request__supplier"]
    search_fields = ["request__id", "request__supplier__name"]
    date_hierarchy = "created_at"
    list_select_related = ["request__supplier"]
    fields = ["request", "kind", "state", "tries", "created_at", "finished_at"]
    inlines = [DeliveryAttemptInline]

    @admin.display(description="supplier", ordering="request__supplier__name")
    def supplier(self, obj: Delivery) -> str:
        """Whose file or news it is."""
        return obj.request.supplier.name
