"""The URLs of the portal's pages and of the file downloads."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from headend.portal import deliveries, delivery_tests, file_request, fleet, hand_over
from headend.portal.downloads import download
from headend.portal.file_requests import file_requests_page
from headend.portal.login import LoginForm, admin_login, change_password
from headend.portal.meter import meter_page
from headend.portal.new_file_request import file_request_estimate, new_file_request
from headend.portal.overview import overview
from headend.portal.suppliers import supplier_page, suppliers_page

login = LoginView.as_view(
    template_name="portal/login.html",
    authentication_form=LoginForm,
    redirect_authenticated_user=True,
)

urlpatterns = [
    path("login/", login, name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", change_password, name="change-password"),
    path("admin/login/", admin_login),
    path("admin/logout/", LogoutView.as_view()),
    path("", overview, name="overview"),
    path("fleet/", fleet.fleet_page, name="fleet"),
    path("fleet/meters/", fleet.meter_search_page, name="meter-search"),
    # A device id may contain slashes.
    path("fleet/meters/<path:device_id>/", meter_page, name="meter"),
    path("requests/", file_requests_page, name="file-requests"),
    path("requests/new/", new_file_request, name="new-file-request"),
    path("requests/estimate/", file_request_estimate, name="file-request-estimate"),
    path("requests/<uuid:pk>/", file_request.file_request_page, name="file-request"),
    path(
        "requests/<uuid:pk>/cancel/", file_request.cancel_file_request, name="cancel-file-request"
    ),
    path("requests/<uuid:pk>/again/", file_request.repeat_file_request, name="repeat-file-request"),
    path("deliveries/", deliveries.deliveries_page, name="deliveries"),
    path("deliveries/<uuid:pk>/again/", deliveries.retry_delivery, name="retry-delivery"),
    path("suppliers/", suppliers_page, name="suppliers"),
    # Not below suppliers/: a supplier may be called "new".
    path("new-supplier/", hand_over.new_supplier, name="new-supplier"),
    path("suppliers/<slug:name>/", supplier_page, name="supplier"),
    path("suppliers/<slug:name>/api-key/", hand_over.new_api_key, name="new-api-key"),
    path("suppliers/<slug:name>/key-pair/", hand_over.new_key_pair, name="new-key-pair"),
    path(
        "suppliers/<slug:name>/push/test/", delivery_tests.test_push_target, name="test-push-target"
    ),
    path("suppliers/<slug:name>/webhook/test/", delivery_tests.test_webhook, name="test-webhook"),
    path("files/<uuid:request_id>/<str:name>", download, name="download"),
]
