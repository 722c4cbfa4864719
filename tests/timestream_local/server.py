"""The HTTP server."""

from __future__ import annotations

import json
import logging
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.timestream_local.protocol import CONTENT_TYPE, ServiceError
from tests.timestream_local.service import Service

log = logging.getLogger(__name__)

CONTROL_PATH = "/_local/"
"""Tests control the server under this path, which clients of Timestream do not use."""


class LocalTimestream(ThreadingHTTPServer):
    """An HTTP server on the loopback interface."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, service: Service) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.service = service

    @property
    def endpoint(self) -> str:
        """The URL for clients. AWS returns host names without a scheme; with ``http://``, botocore uses no TLS."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: LocalTimestream

    def do_GET(self) -> None:
        """Return the finished and cancelled queries, or that the server runs. For tests."""
        if self.path == f"{CONTROL_PATH}queries":
            queries = self.server.service.queries
            self._send(200, {"queries": queries.log(), "cancelled": queries.cancelled()})
        else:
            self._send(200, {"status": "ok"})

    def do_POST(self) -> None:
        """Answer one call of the protocol."""
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            body = json.loads(text or b"{}")
            if self.path == f"{CONTROL_PATH}failures":
                self.server.service.fail(**body)
                self._send(200, {})
                return
            if "Authorization" not in self.headers:
                raise ServiceError("MissingAuthenticationTokenException", "The call is not signed.")
            target = self.headers.get("X-Amz-Target", "")
            answer = self.server.service.call(target, body, endpoint=self.server.endpoint)
        except ServiceError as error:
            self._send(error.status, error.body())
        except json.JSONDecodeError:
            self._send(400, ServiceError("SerializationException", "The body is not JSON.").body())
        except Exception:
            log.exception("the local Timestream failed")
            self._send(
                500, ServiceError("InternalServerException", "The local Timestream failed.").body()
            )
        else:
            self._send(200, answer)

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log calls."""
