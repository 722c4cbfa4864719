"""Trying out where a supplier's files and news are brought to."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from exports.delivery import push, webhook
from exports.models import PushTarget, Webhook
from headend.portal.access import staff_only


@require_POST
@staff_only
@permission_required("exports.change_pushtarget", raise_exception=True)
def test_connection(request: HttpRequest, name: str) -> HttpResponse:
    """Log in to the supplier's server, and say how it went."""
    target = get_object_or_404(PushTarget.objects.select_related("supplier"), supplier__name=name)
    try:
        messages.success(request, f"{target}: {push.test_connection(target)}")
    except push.PushError as error:
        messages.error(request, f"{target}: {error}")
    return redirect("supplier", name)


@require_POST
@staff_only
@permission_required("exports.change_webhook", raise_exception=True)
def send_test(request: HttpRequest, name: str) -> HttpResponse:
    """Call the supplier's webhook, and say what it answered."""
    called = get_object_or_404(Webhook.objects.select_related("supplier"), supplier__name=name)
    try:
        messages.success(request, f"{called.url}: {webhook.send_test(called)}")
    except webhook.WebhookError as error:
        messages.error(request, f"{called.url}: {error}")
    return redirect("supplier", name)
