"""The settings of the two libraries behind the API: Django REST framework and drf-spectacular."""

from __future__ import annotations

from typing import Any

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["exports.suppliers.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["headend.api.parsers.JSONObjectParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "headend.http.exception_handler.handle_exception",
    "UNAUTHENTICATED_USER": None,
}


def openapi(public_url: str, version: str) -> dict[str, Any]:
    """Return the settings of drf-spectacular, which makes the OpenAPI schema.

    ``public_url`` is the address at which clients reach the deployment, ``version`` is the product's.
    """
    return {
        "TITLE": "headend",
        "DESCRIPTION": (
            "Smart-meter readings by page and by file. All times are UTC. "
            "Errors are JSON objects with one sentence that names the parameter."
        ),
        "VERSION": version,
        "OAS_VERSION": "3.1.1",
        "LICENSE": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        "TAGS": [
            {"name": "readings", "description": "Readings, page by page."},
            {"name": "meters", "description": "The meters that have sent readings."},
            {"name": "files", "description": "Readings of a window as one file."},
        ],
        "SERVERS": [{"url": public_url, "description": "This deployment."}],
        "SERVE_INCLUDE_SCHEMA": False,
        # The session is only for the header of the page: visitors without a login see the same documentation.
        "SERVE_AUTHENTICATION": ["rest_framework.authentication.SessionAuthentication"],
        "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
        "PREPROCESSING_HOOKS": ["headend.api.openapi.skip_paths_with_closing_slash"],
        "POSTPROCESSING_HOOKS": [
            "drf_spectacular.hooks.postprocess_schema_enums",
            "readings.schema.add_readings_links",
            "readings.meter_schema.add_meter_links",
            "exports.schema.add_file_links",
            "readings.schema.add_readings_texts",
            "readings.meter_schema.add_meter_texts",
            "exports.schema.add_file_texts",
            "exports.webhook_schema.add_webhook",
        ],
        # Swagger's deep links are links inside buttons, which screen readers cannot distinguish.
        "SWAGGER_UI_SETTINGS": {"deepLinking": False, "syntaxHighlight": False},
        "SWAGGER_UI_DIST": "SIDECAR",
        "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    }
