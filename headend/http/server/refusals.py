"""Responses to requests that never reach Django, in the API's error format."""

from __future__ import annotations

import json
from http import HTTPStatus

from waitress.utilities import Error

MAX_LINE_BYTES = 8190
"""The longest request line, and so about the longest URL."""

INVALID = (HTTPStatus.BAD_REQUEST, "This is not a valid HTTP request.")
UNKNOWN_CODING = (HTTPStatus.BAD_REQUEST, "This Transfer-Encoding is not supported.")
URL_TOO_LONG = (HTTPStatus.REQUEST_URI_TOO_LONG, f"The URL is longer than {MAX_LINE_BYTES} bytes.")
HEADER_TOO_LARGE = (
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "The headers are too large.",
)
NOT_STORED = (
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The server cannot store this request at the moment. Retry later.",
)
UNKNOWN_EXPECTATION = (HTTPStatus.EXPECTATION_FAILED, "This Expect header is not supported.")
FAILED = (HTTPStatus.INTERNAL_SERVER_ERROR, "Internal server error.")


def body_too_large(limit: int) -> tuple[HTTPStatus, str]:
    """Return the refusal of a body of more than ``limit`` bytes."""
    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {limit // 1024} KiB."


class RefusalError(Error):  # type: ignore[misc] # waitress ships no types
    """An error of waitress, written as ``{"error": "<one sentence>"}``."""

    def __init__(self, refusal: tuple[HTTPStatus, str]) -> None:
        self.code, self.reason = refusal[0].value, refusal[0].phrase
        super().__init__(refusal[1])

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status, headers and body."""
        body = json.dumps({"error": self.body}).encode()
        return f"{self.code} {self.reason}", [("Content-Type", "application/json")], body
