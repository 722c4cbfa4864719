"""The operators' pages about file requests and suppliers, and the downloads."""

from __future__ import annotations

from django.urls import path

from exports.pages import new_request, request
from exports.pages.downloads import download
from exports.pages.requests import requests_page
from exports.pages.suppliers import supplier_page, suppliers_page

urlpatterns = [
    path("requests/", requests_page, name="requests"),
    path("requests/new/", new_request.new_request, name="new-request"),
    path("requests/estimate/", new_request.estimate, name="estimate"),
    path("requests/<uuid:pk>/", request.request_page, name="request"),
    path("requests/<uuid:pk>/cancel/", request.cancel, name="cancel-request"),
    path("requests/<uuid:pk>/again/", request.run_again, name="run-request-again"),
    path("suppliers/", suppliers_page, name="suppliers"),
    path("suppliers/<slug:name>/", supplier_page, name="supplier"),
    path("files/<uuid:request_id>/<str:name>", download, name="download"),
]
