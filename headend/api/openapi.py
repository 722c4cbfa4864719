"""Changes to the OpenAPI schema that drf-spectacular has no option for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Endpoint = tuple[str, str, str, Callable[..., Any]]
"""What drf-spectacular passes to a preprocessing hook: path, regular expression of the path, method, view."""
Schema = dict[str, Any]
"""An OpenAPI schema, or an object inside one."""
_PATHS_OF_THE_CONTRACT = {"/readings", "/readings/query", "/readings/file", "/readings/files"}


def skip_paths_with_closing_slash(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Return the endpoints whose path does not end with a slash.

    Every API path also exists with a closing slash. The schema shows it once.
    """
    return [endpoint for endpoint in endpoints if not endpoint[0].endswith("/")]


def keep_paths_of_the_contract(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Return the endpoints that clients of the contract know."""
    return [endpoint for endpoint in endpoints if endpoint[0] in _PATHS_OF_THE_CONTRACT]


def add_links(schema: Schema, links: Mapping[str, Schema]) -> Schema:
    """Return ``schema`` with OpenAPI links added to the 200 response of some operations.

    ``links`` maps an operation id to its links, by their names. A link says which operation to call next, and where
    its parameters are in the request or the response.
    """
    for path in schema["paths"].values():
        for operation in path.values():
            if operation["operationId"] in links:
                operation["responses"]["200"]["links"] = links[operation["operationId"]]
    return schema


@dataclass(frozen=True)
class OperationText:
    """The texts and examples of an operation in the OpenAPI schema."""

    summary: str
    success: str
    """The description of the 200 response."""
    response: Any
    body: Any = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[int, str] = field(default_factory=dict)
    """The sentence of an error by status, if :data:`_ERRORS` has no example that fits."""


_ERRORS = {
    400: ("A parameter or the body is wrong.", "page_size takes a whole number from 1 to 50000."),
    401: ("The API key is missing, unknown or revoked.", "The API key is unknown or revoked."),
    404: (
        "There is no such file request or reading, or it belongs to another supplier.",
        "Not found.",
    ),
    405: ("The path has no such method.", 'Method "PUT" not allowed.'),
    409: ("The request contradicts an earlier one, or it is already final.", ""),
    413: ("The body is too large.", "The body is larger than 64 KiB."),
    429: ("Too many file requests are queued. Retry after the seconds in Retry-After.", ""),
    503: (
        "A service behind the API cannot be reached. Retry after the seconds in Retry-After.",
        "A service that this API needs is unavailable; try again shortly.",
    ),
}
"""The description of each error status, and an example of the sentence."""


def add_texts(schema: Schema, texts: Mapping[str, OperationText]) -> Schema:
    """Return ``schema`` with summaries, descriptions and examples for the operations that ``texts`` names."""
    for path in schema["paths"].values():
        for operation in path.values():
            if operation["operationId"] in texts:
                _add_text(operation, texts[operation["operationId"]])
    return schema


def _add_text(operation: Schema, text: OperationText) -> None:
    operation["summary"] = text.summary
    for parameter in operation.get("parameters", []):
        parameter["example"] = text.parameters[parameter["name"]]
    if text.body is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = text.body
    for status, response in operation["responses"].items():
        if status == "200":
            description, example = text.success, text.response
        else:
            description, sentence = _ERRORS[int(status)]
            example = {"error": text.errors.get(int(status), sentence)}
        response["description"] = description
        response["content"]["application/json"]["example"] = example
