"""Answer health probes at every address of the host.

A load balancer or Kubernetes calls ``/health/live`` at an IP address and over plain HTTP, even if the public URL has a
host name and ``https``.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve


class HealthProbeMiddleware:
    """Calls the views of ``/health/`` directly, before any middleware that checks the Host or redirects to HTTPS.

    Their responses are the same for every caller and contain no secrets.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a probe, or pass another request on."""
        if request.path_info.startswith("/health/"):
            try:
                match = resolve(request.path_info)
            except Resolver404:
                return self._get_response(request)
            response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
            return response
        return self._get_response(request)
