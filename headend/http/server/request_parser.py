"""Read HTTP requests from a connection; refuse what is too large, unclear or not supported."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError

from headend.config.limited_log import LimitedLog
from headend.http.server.refusals import (
    HEADER_TOO_LARGE,
    INVALID,
    MAX_LINE_BYTES,
    NOT_STORED,
    UNKNOWN_CODING,
    UNKNOWN_EXPECTATION,
    URL_TOO_LONG,
    RefusalError,
    body_too_large,
)

_log = LimitedLog(logging.getLogger(__name__))

MAX_HEADER_BYTES = 64 * 1024
MAX_HEADER_FIELDS = 100
_CONTROL_CHARACTER = re.compile(rb"[\x00-\x1f\x7f]")
MAX_CHUNK_LINE_BYTES = 4096
"""The longest line with the size of a chunk, and the longest trailer after the last chunk."""
MAX_CHUNK_OVERHEAD_BYTES = 64 * 1024
"""The lines between the chunks may have this many bytes more than the body."""


class _RefusedError(ParsingError):  # type: ignore[misc] # waitress ships no types
    def __init__(self, refusal: tuple[HTTPStatus, str]) -> None:
        super().__init__(refusal[1])
        self.refusal = refusal


class RequestParser(HTTPRequestParser):  # type: ignore[misc] # waitress ships no types
    """Adds the limits of this server, and errors in JSON, to waitress's parser.

    It refuses everything that a proxy in front may interpret differently: two lengths of one body, a transfer coding in
    HTTP/1.0, other versions of HTTP. Otherwise a caller could hide a request inside another one (request smuggling).
    """

    _refusal: tuple[HTTPStatus, str] | None = None
    _chunked_bytes = 0
    """The received bytes of a chunked body, including the lines between the chunks."""

    def received(self, data: bytes) -> int:
        """Process received bytes, and return how many of them belong to this request.

        Afterwards ``completed`` is set if the request is complete or refused, and ``error`` if it is refused.
        """
        if self.body_rcv is None and _has_long_line(self.header_plus + data):
            self._refuse(URL_TOO_LONG)
            return len(data)
        if self.chunked:
            # waitress counts the lines between the chunks, too. This leaves the limit to _check_chunks.
            self.body_bytes_received = -len(data)
            self._chunked_bytes += len(data)
        try:
            consumed: int = super().received(data)
        except ValueError:
            # waitress raises ValueError for numbers with thousands of digits and for hosts with wrong brackets.
            self._refuse(INVALID)
            return len(data)
        except OSError as error:
            # For example, the disk with the temporary files of large bodies is full.
            _log.warning("a request was not stored", error=str(error))
            self._refuse(NOT_STORED)
            return len(data)
        if self.error is not None:
            self._refuse(self._refusal or self._refusal_of(self.error.code))
        elif self.chunked:
            self._check_chunks()
        return consumed

    def _check_chunks(self) -> None:
        if len(self.body_rcv) >= self.adj.max_request_body_size:
            self._refuse(body_too_large(self.adj.max_request_body_size - 1))
        elif len(self.body_rcv.control_line + self.body_rcv.trailer) > MAX_CHUNK_LINE_BYTES:
            self._refuse(INVALID)
        elif self._chunked_bytes > 2 * len(self.body_rcv) + MAX_CHUNK_OVERHEAD_BYTES:
            # A megabyte in chunks of one byte would keep the main thread busy for seconds.
            self._refuse(INVALID)

    def _refuse(self, refusal: tuple[HTTPStatus, str]) -> None:
        self.error = RefusalError(refusal)
        self.completed = True
        # Otherwise waitress would tell the caller to send the body.
        self.expect_continue = False

    def _refusal_of(self, code: int) -> tuple[HTTPStatus, str]:
        """Return the refusal for an error that waitress has found."""
        if code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            # waitress refuses a body of exactly this size, too.
            return body_too_large(self.adj.max_request_body_size - 1)
        if code == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            return HEADER_TOO_LARGE
        return UNKNOWN_CODING if code == HTTPStatus.NOT_IMPLEMENTED else INVALID

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the request line and the header fields. Raises ``ParsingError`` to refuse the request."""
        try:
            self._parse_header(header_plus)
        except _RefusedError as error:
            self._refusal = error.refusal
            raise

    def _parse_header(self, header_plus: bytes) -> None:
        # The request line and the empty line at the end are no fields.
        if header_plus.count(b"\r\n") > MAX_HEADER_FIELDS + 2:
            raise _RefusedError(HEADER_TOO_LARGE)
        super().parse_header(header_plus)
        headers: dict[str, Any] = self.headers
        if _CONTROL_CHARACTER.search(self.first_line):
            raise _RefusedError(INVALID)
        if self.version not in ("1.0", "1.1") or not self.path.startswith("/"):
            raise _RefusedError(INVALID)
        if "TRANSFER_ENCODING" in headers or (self.chunked and "CONTENT_LENGTH" in headers):
            raise _RefusedError(INVALID)
        if (
            self.version == "1.1"
            and headers.get("EXPECT", "100-continue").lower() != "100-continue"
        ):
            raise _RefusedError(UNKNOWN_EXPECTATION)


def _has_long_line(header: bytes) -> bool:
    """Return whether the request line is longer than :data:`MAX_LINE_BYTES`; its end may not have arrived."""
    return len(header) > MAX_LINE_BYTES and header.find(b"\r\n", 0, MAX_LINE_BYTES + 2) < 0
