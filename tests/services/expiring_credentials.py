"""Credentials that expire: a service that issues them, as on Amazon ECS, and a proxy of a bucket that checks them."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.services.servers import ACCESS_KEY, SECRET_KEY

_FORWARDED = {"content-type", "content-length", "range", "if-match", "if-none-match", "content-md5"}


class ExpiringCredentials:
    """Issues credentials, and refuses calls with expired ones.

    ``url`` is the address of both: boto3 finds the credentials at ``url/credentials``
    (``AWS_CONTAINER_CREDENTIALS_FULL_URI``), every other path is a call to the bucket. All credentials expire at
    :meth:`expire`, or ``seconds`` after they were issued. ``used`` has those with which a call was accepted, and
    ``refused`` counts the other calls.
    """

    def __init__(self, upstream: str, seconds: float) -> None:
        self.upstream = upstream
        self.seconds = seconds
        self.issued = 0
        self.refused = 0
        self.used: set[str] = set()
        self.url = ""
        self._ends: dict[str, float] = {}
        self._lock = threading.Lock()

    def issue(self) -> dict[str, str]:
        """Return new credentials, as the service of Amazon ECS does."""
        end = time.time() + self.seconds
        with self._lock:
            self.issued += 1
            key = f"KEY{self.issued}"
            self._ends[key] = end
        return {
            "AccessKeyId": key,
            "SecretAccessKey": "secret",
            "Token": f"token-{key}",
            "Expiration": datetime.fromtimestamp(end, UTC).isoformat().replace("+00:00", "Z"),
        }

    def expire(self) -> None:
        """Let all credentials expire that were issued so far."""
        with self._lock:
            self._ends.clear()

    def accepts(self, authorization: str, token: str) -> bool:
        """Return whether a call has credentials that have not expired."""
        key = authorization.partition("Credential=")[2].partition("/")[0]
        with self._lock:
            valid = time.time() < self._ends.get(key, 0) and token == f"token-{key}"
            if valid:
                self.used.add(key)
            else:
                self.refused += 1
        return valid


@contextmanager
def expiring_credentials(upstream: str, seconds: float = 300) -> Iterator[ExpiringCredentials]:
    """Run the service and the proxy in front of ``upstream`` (``http://host:port``)."""
    issuer = ExpiringCredentials(upstream, seconds)

    class Call(_Call):
        credentials = issuer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Call)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    credentials: ExpiringCredentials

    def handle_call(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/credentials":
            self._send(200, json.dumps(self.credentials.issue()).encode(), {})
        elif not self.credentials.accepts(
            self.headers.get("Authorization", ""), self.headers.get("X-Amz-Security-Token", "")
        ):
            self._send(403, b"<Error><Code>ExpiredToken</Code></Error>", {})
        else:
            self._forward(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_call  # noqa: N815 (http.server's names)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def _forward(self, body: bytes) -> None:
        """Sign the call with the credentials that the server knows, and forward it."""
        headers = {n: v for n, v in self.headers.items() if n.lower() in _FORWARDED}
        request = AWSRequest(self.command, self.credentials.upstream + self.path, headers, body)
        S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", "us-east-1").add_auth(request)
        upstream = http.client.HTTPConnection(urlsplit(self.credentials.upstream).netloc)
        try:
            upstream.request(self.command, self.path, body, dict(request.headers))
            answer = upstream.getresponse()
            self._send(answer.status, answer.read(), dict(answer.getheaders()))
        finally:
            upstream.close()

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
