"""The operators' page and the downloads."""

from __future__ import annotations

from django.urls import path

from exports.views import download, requests_page

urlpatterns = [
    path("", requests_page, name="requests"),
    path("files/<uuid:request_id>/<str:name>", download, name="download"),
]
