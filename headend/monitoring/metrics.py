"""``/metrics`` for Prometheus.

The metrics come from the database, so every web process of every host returns the same values, and a
restart loses none. Each SFTP process also serves its own metrics (``SFTP_METRICS_PORT``).
"""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from exports.metrics import DatabaseMetrics
from headend.config.database_errors import is_database_outage
from readings.feed import FeedMetrics

_registry = CollectorRegistry()
_registry.register(DatabaseMetrics())
_registry.register(FeedMetrics())


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the deployment's metrics as text.

    The caller needs ``METRICS_TOKEN``. If this setting is empty, every call is refused.
    """
    if not _is_allowed(request):
        message = "Send the header Authorization: Bearer <METRICS_TOKEN>."
        if not settings.METRICS_TOKEN:
            message = "The operator must set METRICS_TOKEN. Then send it: Authorization: Bearer <METRICS_TOKEN>."
        return JsonResponse(
            {"error": message},
            status=401,
            headers={"WWW-Authenticate": "Bearer"},
        )
    try:
        return HttpResponse(generate_latest(_registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
    except (DatabaseError, InterfaceError) as error:
        if not is_database_outage(error):
            raise
        return JsonResponse({"error": "The database is unavailable."}, status=503)


def _is_allowed(request: HttpRequest) -> bool:
    # The caller's address proves nothing: behind a proxy on this host, every caller seems to be on this host.
    authorization = request.headers.get("Authorization", "")
    return bool(settings.METRICS_TOKEN) and constant_time_compare(
        authorization, f"Bearer {settings.METRICS_TOKEN}"
    )
