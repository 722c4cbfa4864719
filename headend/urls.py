"""All URLs of the deployment: API, health, metrics, portal, admin."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.viewsets import ViewSet

from exports.api import FileRequestViewSet
from exports.suppliers.authentication import KEY_CACHE_SECONDS, ApiKeyAuthentication
from headend.api.compression import compressed
from headend.monitoring import health
from headend.monitoring.metrics import metrics
from readings.api import ReadingsViewSet
from readings.meter_api import MetersViewSet

admin.autodiscover()


def _readings(
    actions: dict[str, Any], views: type[ViewSet] = ReadingsViewSet
) -> Callable[..., HttpResponseBase]:
    # POST /readings/query only reads, as a GET does.
    authentication = partial(ApiKeyAuthentication, KEY_CACHE_SECONDS)
    return compressed(views.as_view(actions, authentication_classes=[authentication]))


_views: dict[str, Callable[..., HttpResponseBase]] = {
    "readings": _readings({"get": "list"}),
    "readings/query": _readings({"post": "query"}),
    "readings/history": _readings({"get": "history"}),
    "readings/file": FileRequestViewSet.as_view(
        {"post": "create", "get": "retrieve", "delete": "destroy"}
    ),
    "readings/files": FileRequestViewSet.as_view({"get": "list"}),
    "meters": _readings({"get": "list"}, MetersViewSet),
    # A device id may contain slashes.
    "meters/<path:device_id>/latest": _readings({"get": "latest"}, MetersViewSet),
}
_contract_schema = SpectacularAPIView.as_view(
    custom_settings={
        "PREPROCESSING_HOOKS": [
            "headend.api.openapi.skip_paths_with_closing_slash",
            "headend.api.openapi.keep_paths_of_the_contract",
        ]
    }
)
"""A schema with only the paths of the contract: its clients compare the paths with those that they know."""
# Each path works with and without a closing slash, without a redirect: the contract requires it.
api = [path(name + slash, view) for name, view in _views.items() for slash in ("", "/")]

urlpatterns: list[URLPattern | URLResolver] = [
    *api,
    path("health/live", health.live, name="live"),
    path("health/ready", health.ready, name="ready"),
    path("metrics", metrics, name="metrics"),
    path("api/schema/", compressed(_contract_schema), name="schema"),
    path("api/schema/full/", compressed(SpectacularAPIView.as_view()), name="full-schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="full-schema"), name="docs"),
    # Before the admin: the portal's login page replaces the admin's.
    path("", include("headend.portal.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "headend.portal.error_pages.bad_request"
handler403 = "headend.portal.error_pages.permission_denied"
handler404 = "headend.portal.error_pages.not_found"
handler500 = "headend.portal.error_pages.server_error"
