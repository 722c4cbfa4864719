"""How the OpenAPI schema describes the authentication of suppliers, and the links between file requests."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from headend.api.openapi import Schema, add_links


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # registers by a metaclass without types
    """An API key in one of two headers."""

    target_class = "exports.suppliers.authentication.ApiKeyAuthentication"
    name = ["token", "apiKey"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """Return one requirement for each header: two in one entry would mean that both are required."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        """Return the definition of each header."""
        return [
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "`Token <API key>`",
            },
            {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        ]


_STATUS, _CANCEL = (
    {"operationId": operation, "parameters": {"request_id": "$response.body#/request_id"}}
    for operation in ("file_status", "cancel_file")
)
_STATUS_OF_NEWEST = {
    "operationId": "file_status",
    "parameters": {"request_id": "$response.body#/results/0/request_id"},
}
_LINKS: dict[str, Schema] = {
    "request_file": {"status": _STATUS, "cancel": _CANCEL},
    "file_status": {"status": _STATUS, "cancel": _CANCEL},
    "cancel_file": {"status": _STATUS, "cancel": _CANCEL},
    "list_files": {"status": _STATUS_OF_NEWEST},
}


def add_file_links(result: Schema, **_: Any) -> Schema:
    """Return the schema with the links of the operations on file requests."""
    return add_links(result, _LINKS)
