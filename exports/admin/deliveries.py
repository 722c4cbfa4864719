"""The admin's pages of push targets, webhooks, deliveries and their attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db import connection, models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from exports.admin.confirmation import run_if_confirmed
from exports.delivery import push_keys, webhook
from exports.delivery.push_error import PushError
from exports.models import Delivery, DeliveryAttempt, FileRequest, PushTarget, Supplier, Webhook
from headend.config.command_lock import ROTATE, InUseError, one_at_a_time
from headend.config.rotation import OVERLAP, OverlapError
from headend.read_only_admin import ReadOnly

HTTPS_BY_DEFAULT: Mapping[type[models.Field[Any, Any]], Mapping[str, Any]] = {
    models.URLField: {"assume_scheme": "https"}
}
"""A URL that is typed without a scheme gets ``https://``."""


def rotate_and_log(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    row: PushTarget | Webhook,
    rotate: Callable[[Supplier], datetime | None],
) -> bool:
    """Rotate the secret of a supplier, and add it to the history of ``row``.

    If the rotation is refused, show a message, and return false.
    """
    try:
        with one_at_a_time(ROTATE, settings.HEADEND_HOME, connection):
            rotate(row.supplier)
    except InUseError:
        messages.error(
            request,
            f"{row.supplier}: another rotation is running. Repeat this one after it has ended.",
        )
        return False
    except OverlapError as error:
        messages.error(request, f"{row.supplier}: {error}")
        return False
    model_admin.log_change(request, row, "Rotated the secret.")
    return True


class PushTargetInline(admin.StackedInline[PushTarget, Supplier]):
    """The push target on a supplier's page."""

    model = PushTarget
    extra = 0
    fields = [
        "active", "host", "port", "user", "host_key", "folder", "layout", "temporary_name",
        "deployment_public_key",
    ]  # fmt: skip
    readonly_fields = ["deployment_public_key"]

    @admin.display(description="public key of headend", empty_value="shown after you save")
    def deployment_public_key(self, obj: PushTarget) -> str | None:
        """Return the line that the supplier adds to its authorized_keys."""
        return push_keys.public_key(obj.supplier) if obj.pk else None


class WebhookInline(admin.StackedInline[Webhook, Supplier]):
    """The webhook on a supplier's page."""

    model = Webhook
    extra = 0
    fields = ["active", "url"]
    formfield_overrides = HTTPS_BY_DEFAULT


@admin.register(PushTarget)
class PushTargetAdmin(admin.ModelAdmin[PushTarget]):
    """Push targets, with actions that test the connection and rotate the key."""

    list_display = ["supplier", "__str__", "folder", "active"]
    list_filter = ["active"]
    list_select_related = ["supplier"]
    actions = ["test_connection", "rotate_key"]

    @admin.action(description="Test connection", permissions=["change"])
    def test_connection(self, request: HttpRequest, queryset: QuerySet[PushTarget]) -> None:
        """Log in to each server and show the result."""
        # Imported here, because it needs paramiko; see exports.delivery.push_keys.
        from exports.delivery.push import test_connection

        for target in queryset:
            try:
                messages.success(request, test_connection(target))
            except PushError as error:
                messages.error(request, str(error))

    @admin.action(description="Rotate key of headend", permissions=["change"])
    def rotate_key(
        self, request: HttpRequest, queryset: QuerySet[PushTarget]
    ) -> HttpResponse | None:
        """Replace the keys after the operator has confirmed it, and show the new public keys."""
        answer = run_if_confirmed(
            self,
            request,
            queryset,
            action="rotate_key",
            question=f"Rotate the keys for these servers? Pushes also use the old keys for {OVERLAP.days} days.",
            act=lambda target: rotate_and_log(self, request, target, push_keys.rotate_key),
            success="{} rotated.",
        )
        if answer is None:
            for target in queryset:
                messages.warning(
                    request,
                    f"Give this public key to {target.supplier}: {push_keys.public_key(target.supplier)}",
                )
        return answer


@admin.register(Webhook)
class WebhookAdmin(admin.ModelAdmin[Webhook]):
    """Webhooks, with actions that send a test event, and show and rotate the signing secret."""

    list_display = ["supplier", "url", "active"]
    list_filter = ["active"]
    list_select_related = ["supplier"]
    fields = ["supplier", "url", "active"]
    formfield_overrides = HTTPS_BY_DEFAULT
    actions = ["send_test", "show_secret", "rotate_secret"]

    @admin.action(description="Send test event", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        """Call each webhook and show its response."""
        for each in queryset:
            try:
                messages.success(request, f"{each}: {webhook.send_test(each)}")
            except webhook.WebhookError as error:
                messages.error(request, f"{each}: {error}")

    @admin.action(description="Show signing secret", permissions=["change"])
    def show_secret(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        """Show the secret with which the receiver verifies the signatures."""
        for each in queryset:
            messages.warning(
                request,
                f"Signing secret of {each.supplier}: {webhook.signing_secret(each.supplier)}",
            )

    @admin.action(description="Rotate signing secret", permissions=["change"])
    def rotate_secret(
        self, request: HttpRequest, queryset: QuerySet[Webhook]
    ) -> HttpResponse | None:
        """Replace the signing secrets after the operator has confirmed it, and show the new ones."""
        answer = run_if_confirmed(
            self,
            request,
            queryset,
            action="rotate_secret",
            question="Rotate the signing secrets of these webhooks? Calls are also signed with the old ones for "
            f"{OVERLAP.days} days.",
            act=lambda each: rotate_and_log(self, request, each, webhook.rotate_signing_secret),
            success="{} rotated.",
        )
        if answer is None:
            self.show_secret(request, queryset)
        return answer


class DeliveryAttemptInline(ReadOnly, admin.TabularInline[DeliveryAttempt, Delivery]):
    """The attempts on a delivery's page."""

    model = DeliveryAttempt
    extra = 0
    fields = ["number", "target", "started_at", "ended_at", "succeeded", "outcome"]


class DeliveryInline(ReadOnly, admin.TabularInline[Delivery, FileRequest]):
    """The deliveries on a file request's page."""

    model = Delivery
    extra = 0
    fields = ["kind", "state", "attempts", "created_at", "finished_at"]
    show_change_link = True


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(ReadOnly, admin.ModelAdmin[DeliveryAttempt]):
    """The attempts of all deliveries."""

    list_display = ["started_at", "delivery", "number", "target", "succeeded", "outcome"]
    list_filter = ["succeeded", "delivery__kind", "started_at"]
    search_fields = ["target", "outcome", "delivery__request__id"]
    date_hierarchy = "started_at"
    list_per_page = 50
    list_select_related = ["delivery"]
    fields = ["delivery", "number", "target", "started_at", "ended_at", "succeeded", "outcome"]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, admin.ModelAdmin[Delivery]):
    """Pushes and webhook calls, with their attempts."""

    list_display = ["created_at", "kind", "supplier", "state", "attempts", "finished_at", "request"]
    list_filter = ["kind", "state", "request__supplier"]
    search_fields = ["request__id", "request__supplier__name"]
    date_hierarchy = "created_at"
    list_select_related = ["request__supplier"]
    fields = ["request", "kind", "state", "attempts", "created_at", "finished_at"]
    inlines = [DeliveryAttemptInline]

    @admin.display(description="supplier", ordering="request__supplier__name")
    def supplier(self, obj: Delivery) -> str:
        """Return the supplier that receives the delivery."""
        return obj.request.supplier.name
