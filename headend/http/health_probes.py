"""Answer health probes and Prometheus at every address of the host.

A load balancer, Kubernetes or Prometheus calls ``/health/live`` or ``/metrics`` at an IP address and over plain HTTP,
even if the public URL has a host name and ``https``.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve

from headend.http.public_path import path_in_deployment


def is_live_probe(path: str) -> bool:
    """Return whether this is the path of ``/health/live``."""
    return path_in_deployment(path) == "/health/live"


class HealthProbeMiddleware:
    """Calls the views of ``/health/`` and ``/metrics`` directly, before any middleware that checks the Host.

    Such a middleware would refuse or redirect the call. The responses contain no links, cookies or secrets, and
    ``/metrics`` needs a token.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a probe or a scrape, or pass another request on."""
        if request.path_info == "/metrics" or request.path_info.startswith("/health/"):
            try:
                match = resolve(request.path_info)
            except Resolver404:
                return self._get_response(request)
            response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
            return response
        return self._get_response(request)
