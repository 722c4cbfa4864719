"""The pages about file requests, deliveries and suppliers, and the downloads."""

from __future__ import annotations

from django.urls import path

from exports.pages import hand_over, new_request, request, targets
from exports.pages.deliveries import deliver_again, deliveries_page
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
    path("deliveries/", deliveries_page, name="deliveries"),
    path("deliveries/<uuid:pk>/again/", deliver_again, name="deliver-again"),
    path("suppliers/", suppliers_page, name="suppliers"),
    # Beside the suppliers' own pages: one of them may be called "new".
    path("new-supplier/", hand_over.new_supplier, name="new-supplier"),
    path("hand-over/<uuid:pk>/", hand_over.private_key, name="private-key"),
    path("suppliers/<slug:name>/", supplier_page, name="supplier"),
    path("suppliers/<slug:name>/api-key/", hand_over.new_api_key, name="new-api-key"),
    path("suppliers/<slug:name>/key-pair/", hand_over.new_key_pair, name="new-key-pair"),
    path("suppliers/<slug:name>/push/test/", targets.test_connection, name="test-push"),
    path("suppliers/<slug:name>/webhook/test/", targets.send_test, name="test-webhook"),
    path("files/<uuid:request_id>/<str:name>", download, name="download"),
]
