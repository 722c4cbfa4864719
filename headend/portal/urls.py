"""The URLs of the portal's pages and of the file downloads."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from headend.portal import delivery_tests, file_request, hand_over, new_file_request
from headend.portal.deliveries import deliver_again, deliveries_page
from headend.portal.downloads import download
from headend.portal.file_requests import requests_page
from headend.portal.fleet import find_meter, fleet_page
from headend.portal.login import admin_login, change_password
from headend.portal.meter import meter_page
from headend.portal.overview import overview
from headend.portal.suppliers import supplier_page, suppliers_page

urlpatterns = [
    path(
        "login/",
        LoginView.as_view(template_name="portal/login.html", redirect_authenticated_user=True),
        name="login",
    ),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", change_password, name="password"),
    path("admin/login/", admin_login),
    path("admin/logout/", LogoutView.as_view()),
    path("", overview, name="overview"),
    path("fleet/", fleet_page, name="fleet"),
    path("fleet/meters/", find_meter, name="find-meter"),
    path("fleet/meters/<uuid:device_id>/", meter_page, name="meter"),
    path("requests/", requests_page, name="requests"),
    path("requests/new/", new_file_request.new_request, name="new-request"),
    path("requests/estimate/", new_file_request.estimate, name="estimate"),
    path("requests/<uuid:pk>/", file_request.request_page, name="request"),
    path("requests/<uuid:pk>/cancel/", file_request.cancel, name="cancel-request"),
    path("requests/<uuid:pk>/again/", file_request.run_again, name="run-request-again"),
    path("deliveries/", deliveries_page, name="deliveries"),
    path("deliveries/<uuid:pk>/again/", deliver_again, name="deliver-again"),
    path("suppliers/", suppliers_page, name="suppliers"),
    # Beside the suppliers' own pages: one of them may be called "new".
    path("new-supplier/", hand_over.new_supplier, name="new-supplier"),
    path("suppliers/<slug:name>/", supplier_page, name="supplier"),
    path("suppliers/<slug:name>/api-key/", hand_over.new_api_key, name="new-api-key"),
    path("suppliers/<slug:name>/key-pair/", hand_over.new_key_pair, name="new-key-pair"),
    path("suppliers/<slug:name>/push/test/", delivery_tests.test_connection, name="test-push"),
    path("suppliers/<slug:name>/webhook/test/", delivery_tests.send_test, name="test-webhook"),
    path("files/<uuid:request_id>/<str:name>", download, name="download"),
]
