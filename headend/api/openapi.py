"""Changes to the OpenAPI schema that drf-spectacular has no option for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Endpoint = tuple[str, str, str, Callable[..., Any]]
"""What drf-spectacular passes to a preprocessing hook: path, regular expression of the path, method, view."""
Schema = dict[str, Any]
"""An OpenAPI schema, or an object inside one."""


def skip_paths_with_closing_slash(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Return the endpoints whose path does not end with a slash.

    Every API path also exists with a closing slash. The schema shows it once.
    """
    return [endpoint for endpoint in endpoints if not endpoint[0].endswith("/")]


def add_links(schema: Schema, links: Mapping[str, Schema]) -> Schema:
    """Return ``schema`` with OpenAPI links added to the 200 response of some operations.

    ``links`` maps an operation id to its links: for each name of a link, the operation to call next and
    where its parameters are in the request or the response. Other operations stay as they are.
    """
    for path in schema["paths"].values():
        for operation in path.values():
            if operation["operationId"] in links:
                operation["responses"]["200"]["links"] = links[operation["operationId"]]
    return schema
