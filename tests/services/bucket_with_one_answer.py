"""A server with S3's protocol that gives the same answer to every call, such as an error of a real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, str]
"""A status, and the body."""


def error(status: int, code: str, message: str = "") -> Answer:
    """Return an error as S3 sends it."""
    return (
        status,
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>",
    )


@contextmanager
def bucket_with_one_answer(answer: Answer) -> Iterator[str]:
    """Yield the address of a server that gives this answer to every call, and repeats what the client sent.

    A real server also repeats headers of the call in the answer to a wrong signature.
    """

    class Call(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_call(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = answer
            content = f"{body}\n{self.headers if body else ''}".encode()
            self.send_response_only(status)
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", "Mon, 27 Feb 2023 00:00:00 GMT")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_call  # noqa: N815 (http.server's names)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Call)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
