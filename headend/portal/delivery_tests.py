"""Tests of a supplier's push target and webhook, started on the supplier's page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from exports.delivery import webhook
from exports.delivery.push_error import PushError
from exports.models import PushTarget, Webhook
from headend.portal.access import staff_required


@require_POST
@staff_required("exports.change_pushtarget")
def test_push_target(request: HttpRequest, name: str) -> HttpResponse:
    """Log in to the supplier's SFTP server, and show the result on the supplier's page."""
    # Imported here, because it needs paramiko; see exports.delivery.push_keys.
    from exports.delivery.push import test_connection

    target = get_object_or_404(PushTarget.objects.select_related("supplier"), supplier__name=name)
    try:
        messages.success(request, f"{target}: {test_connection(target)}")
    except PushError as error:
        messages.error(request, f"{target}: {error}")
    return redirect("supplier", name)


@require_POST
@staff_required("exports.change_webhook")
def test_webhook(request: HttpRequest, name: str) -> HttpResponse:
    """Send a test event to the supplier's webhook, and show the response on the supplier's page."""
    target = get_object_or_404(Webhook.objects.select_related("supplier"), supplier__name=name)
    try:
        messages.success(request, f"{target.url}: {webhook.send_test(target)}")
    except webhook.WebhookError as error:
        messages.error(request, f"{target.url}: {error}")
    return redirect("supplier", name)
