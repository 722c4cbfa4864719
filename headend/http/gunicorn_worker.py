"""A gunicorn worker that answers with JSON to requests that never reach Django."""

from __future__ import annotations

import json
import socket
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import ThreadWorker

DRAIN_BYTES = 4 * 2**20
DRAIN_TIMEOUT_SECONDS = 2.0


class JSONErrorWorker(ThreadWorker):  # type: ignore[misc] # gunicorn ships no types
    """gunicorn's threaded worker, with the API's error format instead of HTML."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that cannot be parsed. gunicorn handles all other errors."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        status, sentence = _status_and_sentence(exc, self.cfg.limit_request_line)
        self.log.info("refused a request from %s: %s", addr and addr[0], exc)
        body = json.dumps({"error": sentence}).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            client.setblocking(True)  # noqa: FBT003 (the socket's own interface)
            client.sendall(head.encode() + body)
            _drain(client)
        except OSError as error:
            self.log.debug("caller disconnected: %s", error)


def _status_and_sentence(error: Exception, max_line_bytes: int) -> tuple[HTTPStatus, str]:
    if isinstance(error, LimitRequestLine):
        return HTTPStatus.REQUEST_URI_TOO_LONG, f"The URL is longer than {max_line_bytes} bytes."
    if isinstance(error, LimitRequestHeaders):
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large."
    if isinstance(error, UnsupportedTransferCoding):
        return HTTPStatus.NOT_IMPLEMENTED, "This Transfer-Encoding is not supported."
    if isinstance(error, ExpectationFailed):
        return HTTPStatus.EXPECTATION_FAILED, "This Expect header is not supported."
    return HTTPStatus.BAD_REQUEST, "This is not a valid HTTP request."


def _drain(client: socket.socket) -> None:
    """Read and drop what the caller is still sending, up to :data:`DRAIN_BYTES`.

    If the connection were closed with unread data, TCP would reset it and the caller could lose the
    response.
    """
    client.shutdown(socket.SHUT_WR)
    client.settimeout(DRAIN_TIMEOUT_SECONDS)
    left = DRAIN_BYTES
    while left > 0:
        received = len(client.recv(65536))
        if not received:
            return
        left -= received
