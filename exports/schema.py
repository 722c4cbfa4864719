"""How suppliers log in, for the OpenAPI schema."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # registers by a metaclass without types
    """The two headers, either of which will do."""

    target_class = "exports.suppliers.authentication.ApiKeyAuthentication"
    name = ["token", "apiKey"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """One or the other; both in one entry would ask for both."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        """One definition for each name."""
        return [
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "`Token <API key>`",
            },
            {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        ]
