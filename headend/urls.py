"""The URLs of the deployment; the apps bring their own pages."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from exports.api import FileRequestViewSet
from headend import health
from headend.metrics import metrics
from headend.portal.fleet import find_meter, fleet_page
from headend.portal.login import admin_login, change_password
from headend.portal.meter import meter_page
from headend.portal.overview import overview
from readings.api import ReadingsViewSet

_views = {
    "readings": ReadingsViewSet.as_view({"get": "list"}),
    "readings/file": FileRequestViewSet.as_view(
        {"post": "create", "get": "retrieve", "delete": "destroy"}
    ),
    "readings/files": FileRequestViewSet.as_view({"get": "list"}),
}
# The contract answers with and without a closing slash, and never redirects.
api = [path(name + slash, view) for name, view in _views.items() for slash in ("", "/")]

urlpatterns: list[URLPattern | URLResolver] = [
    *api,
    path("health/live", health.live, name="live"),
    path("health/ready", health.ready, name="ready"),
    path("metrics", metrics, name="metrics"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", change_password, name="password"),
    path("admin/login/", admin_login),
    path("admin/logout/", LogoutView.as_view()),
    path("admin/", admin.site.urls),
    path("", overview, name="overview"),
    path("fleet/", fleet_page, name="fleet"),
    path("fleet/meters/", find_meter, name="find-meter"),
    path("fleet/meters/<uuid:device_id>/", meter_page, name="meter"),
    path("", include("exports.urls")),
]

handler400 = "headend.errors.bad_request"
handler403 = "headend.errors.permission_denied"
handler404 = "headend.errors.not_found"
handler500 = "headend.errors.server_error"
