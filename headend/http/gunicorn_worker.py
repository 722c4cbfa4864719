"""A gunicorn worker that answers what never reaches Django in the contract's form, too."""

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
DRAIN_SECONDS = 2.0


class JSONErrorWorker(ThreadWorker):  # type: ignore[misc] # gunicorn ships no types
    """gunicorn's threaded worker with JSON where it writes HTML."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that cannot be parsed; anything else is gunicorn's own business."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        status, sentence = _verdict(exc)
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
            self.log.debug("the caller is gone: %s", error)


def _verdict(error: Exception) -> tuple[HTTPStatus, str]:
    if isinstance(error, LimitRequestLine):
        return HTTPStatus.REQUEST_URI_TOO_LONG, "The URL is too long; 8190 bytes is the most."
    if isinstance(error, LimitRequestHeaders):
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large."
    if isinstance(error, UnsupportedTransferCoding):
        return HTTPStatus.NOT_IMPLEMENTED, "This Transfer-Encoding is not understood."
    if isinstance(error, ExpectationFailed):
        return HTTPStatus.EXPECTATION_FAILED, "This Expect header is not understood."
    return HTTPStatus.BAD_REQUEST, "This is not an HTTP request that can be read."


def _drain(client: socket.socket) -> None:
    """Read some of what the caller is still sending: closing on it would reset the answer away."""
    client.shutdown(socket.SHUT_WR)
    client.settimeout(DRAIN_SECONDS)
    left = DRAIN_BYTES
    while left > 0:
        received = len(client.recv(65536))
        if not received:
            return
        left -= received
