"""The HTTP server."""

from __future__ import annotations

import json
import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.clickhouse_local.call import ENCODERS, Call, decode
from tests.clickhouse_local.engine import Engine
from tests.clickhouse_local.errors import ClickHouseError, code_of, status_of

log = logging.getLogger(__name__)

CONTROL_PATH = "/_local/substitute"
"""Tests control the server under this path, which clients of ClickHouse do not use."""


class LocalClickHouse(ThreadingHTTPServer):
    """An HTTP server on the loopback interface, with one user."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, engine: Engine, *, user: str, password: str) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.engine = engine
        self._credentials = user, password

    def check_credentials(self, call: Call) -> None:
        """Raise the error that a server raises if the user or the password is wrong."""
        if (call.user, call.password) != self._credentials:
            raise ClickHouseError(
                516,
                "AUTHENTICATION_FAILED",
                f"{call.user}: Authentication failed: password is incorrect, or there is no user with such name.",
            )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: LocalClickHouse

    def do_GET(self) -> None:
        """Answer a query, or a ping."""
        path, _, query = self.path.partition("?")
        if path == "/ping" or (path == "/" and not query):
            self._send(200, b"Ok.\n", {"Content-Type": "text/html; charset=UTF-8"})
        else:
            self._answer(query)

    def do_POST(self) -> None:
        """Answer a query."""
        path, _, query = self.path.partition("?")
        if path == CONTROL_PATH:
            self.server.engine.substitute(**json.loads(self._body()))
            self._send(200, b"", {})
        else:
            self._answer(query)

    def _answer(self, query: str) -> None:
        try:
            call = decode(self.command, query, self.headers, self._body())
            self.server.check_credentials(call)
            answer = self.server.engine.run(call)
        except (ClickHouseError, RuntimeError) as error:
            self._send_error(error)
            return
        except Exception as error:
            log.exception("the local ClickHouse failed")
            self._send_error(error)
            return
        summary = {
            "read_rows": answer.rows_read,
            "read_bytes": answer.bytes_read,
            "elapsed_ns": int(answer.seconds * 1e9),
        }
        headers = {
            "Content-Type": "application/octet-stream",
            "X-ClickHouse-Query-Id": call.query_id,
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Summary": json.dumps({name: str(n) for name, n in summary.items()}),
        }
        if answer.format is not None:
            headers["X-ClickHouse-Format"] = answer.format
        content = answer.content
        if call.encoding is not None:
            content = ENCODERS[call.encoding](content)
            headers["Content-Encoding"] = call.encoding
        self._send(200, content, headers)

    def _send_error(self, error: BaseException) -> None:
        code = code_of(error)
        text = f"{error} (version {self.server.engine.version})\n"
        self._send(status_of(code), text.encode(), {"X-ClickHouse-Exception-Code": str(code)})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-ClickHouse-Server-Display-Name", "clickhouse_local")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log calls."""
