"""``/metrics`` for Prometheus.

Only what the database knows: it is the same whichever of the web processes is asked, on
whichever host, and outlives them. What an SFTP process alone knows, that process tells.
"""

from __future__ import annotations

from ipaddress import ip_address

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from exports.metrics import DatabaseMetrics

_registry = CollectorRegistry()
_registry.register(DatabaseMetrics())


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The deployment's figures, for who has ``METRICS_TOKEN``; without that setting, for this host."""
    if not _is_allowed(request):
        return JsonResponse(
            {"error": "Authorization takes the form: Bearer <METRICS_TOKEN>."},
            status=401,
            headers={"WWW-Authenticate": "Bearer"},
        )
    try:
        return HttpResponse(generate_latest(_registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
    except (OperationalError, InterfaceError):
        return JsonResponse({"error": "The database cannot be reached."}, status=503)


def _is_allowed(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        return constant_time_compare(given, f"Bearer {settings.METRICS_TOKEN}")
    # A proxy on this host calls from the loopback address, too, for whomever it serves.
    by_proxy = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return not by_proxy and _is_loopback(request.META.get("REMOTE_ADDR", ""))


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
