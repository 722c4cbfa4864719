"""An S3 server's bad days: a proxy that answers errors, breaks off and hangs on a share of the calls.

All else passes as it came, the Host header too: the client signs for the proxy's address, and the server
verifies what it receives.
"""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_PIECE = 256 * 1024
_PATIENCE_SECONDS = 120


class Fault(StrEnum):
    """What goes wrong with a call."""

    INTERNAL_ERROR = "500 InternalError"
    SLOW_DOWN = "503 SlowDown"
    RESET = "reset before the server hears of it"
    HANG = "no answer for a while, then a reset"
    CUT_UPLOAD = "half of the request's body reaches the server, then a reset"
    # The server has done what it was asked; the client cannot know. An answer without a body is lost whole.
    CUT_ANSWER = "half of the answer's body, then the end of the connection"


_S3_ERRORS = {
    Fault.INTERNAL_ERROR: (500, "InternalError", "We encountered an internal error."),
    Fault.SLOW_DOWN: (503, "SlowDown", "Please reduce your request rate."),
}


class FaultProxy:
    """A proxy in front of ``upstream`` (``http://host:port``), at ``url`` while it is entered.

    ``share`` of the calls (0 to 1) meet one of ``kinds``, drawn from ``seed`` in the order of the calls, and
    of those that were met least, so that a short run meets each of them; ``share`` may be set while it runs.
    ``CUT_UPLOAD`` is drawn only for calls that have a body. ``faults`` counts what was done, ``calls`` all calls.
    """

    def __init__(
        self,
        upstream: str,
        *,
        share: float = 0.1,
        kinds: Collection[Fault] = tuple(Fault),
        seed: int = 0,
        hang_seconds: float = 5.0,
    ) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.share = share
        self.kinds = [kind for kind in Fault if kind in kinds]
        self.hang_seconds = hang_seconds
        self.faults: Counter[Fault] = Counter()
        self.calls = 0
        self.stopping = threading.Event()
        self._draw = random.Random(seed)
        self._lock = threading.Lock()
        self._server = _Server(self)

    @property
    def url(self) -> str:
        """The address that clients are given instead of the server's."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def next_fault(self, *, has_body: bool) -> Fault | None:
        """Draw what the next call meets, and count it."""
        with self._lock:
            self.calls += 1
            kinds = [kind for kind in self.kinds if has_body or kind is not Fault.CUT_UPLOAD]
            if self._draw.random() >= self.share or not kinds:
                return None
            fewest = min(self.faults[kind] for kind in kinds)
            fault = self._draw.choice([kind for kind in kinds if self.faults[kind] == fewest])
            self.faults[fault] += 1
            return fault

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A connection that a client keeps open is no reason to stay.
    block_on_close = False
    request_queue_size = 256

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Call)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close it without a polite end first, which would come before a reset."""
        self.close_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client or the server broke a connection off; the other side has been told in kind."""


class _BrokenOffError(ConnectionError):
    """One side ended its connection within a message."""


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _PATIENCE_SECONDS
    server: _Server

    def pass_on(self) -> None:
        """One call, whatever happens to it."""
        proxy = self.server.proxy
        length = int(self.headers.get("Content-Length", 0))
        fault = proxy.next_fault(has_body=length > 0 or self._is_chunked)
        if fault in _S3_ERRORS:
            self._answer_error(*_S3_ERRORS[fault])
        elif fault is Fault.RESET:
            self._reset()
        elif fault is Fault.HANG:
            proxy.stopping.wait(proxy.hang_seconds)
            self._reset()
        else:
            self._exchange(fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = pass_on  # noqa: N815 (http.server's names)

    def handle_expect_100(self) -> bool:
        """Keep quiet until it is clear that the body is wanted."""
        return True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _exchange(self, fault: Fault | None) -> None:
        upstream = http.client.HTTPConnection(self.server.proxy.upstream, timeout=_PATIENCE_SECONDS)
        try:
            self._send_request(upstream, fault)
            if fault is Fault.CUT_UPLOAD:
                self._reset()
            else:
                self._return_answer(upstream.getresponse(), fault)
        except (OSError, http.client.HTTPException):
            # Whoever broke off, the client sees a connection that breaks off.
            self._reset()
        finally:
            upstream.close()

    def _send_request(self, upstream: http.client.HTTPConnection, fault: Fault | None) -> None:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders()
        for piece in self._request_body(half=fault is Fault.CUT_UPLOAD):
            try:
                upstream.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                # The server has answered without reading on; the rest is for nobody.
                self.close_connection = True
                return

    def _request_body(self, *, half: bool) -> Iterator[bytes]:
        """The body as it stands on the wire, its chunks' frames and trailers too."""
        if self._expects_continue:
            self.send_response_only(100)
            self.end_headers()
        if self._is_chunked:
            chunks = self._request_chunks()
            yield from islice(chunks, 2) if half else chunks
        else:
            length = int(self.headers.get("Content-Length", 0))
            yield from self._read(length // 2 if half else length)

    def _request_chunks(self) -> Iterator[bytes]:
        while True:
            head = self._read_line()
            yield head
            size = int(head.split(b";")[0], 16)
            if size == 0:
                break
            yield from self._read(size + len(b"\r\n"))
        while (trailer := self._read_line()).strip():
            yield trailer
        yield trailer

    def _read_line(self) -> bytes:
        line = self.rfile.readline()
        if not line:
            raise _BrokenOffError("the client broke off")
        return line

    def _read(self, length: int) -> Iterator[bytes]:
        while length:
            piece = self.rfile.read1(min(length, _PIECE))
            if not piece:
                raise _BrokenOffError("the client broke off")
            length -= len(piece)
            yield piece

    def _return_answer(self, answer: http.client.HTTPResponse, fault: Fault | None) -> None:
        has_body = self.command != "HEAD" and answer.length != 0
        if fault is Fault.CUT_ANSWER and not has_body:
            self._reset()
            return
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        if answer.length is None and not answer.chunked:
            self.close_connection = True
        if has_body:
            self._return_body(answer, cut=fault is Fault.CUT_ANSWER)

    def _return_body(self, answer: http.client.HTTPResponse, *, cut: bool) -> None:
        left = None if answer.length is None else answer.length // 2 if cut else answer.length
        while left != 0:
            piece = answer.read1(_PIECE if left is None else min(left, _PIECE))
            if not piece:
                break
            left = None if left is None else left - len(piece)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if answer.chunked else piece)
            if cut and left is None:
                break
        if cut or left:
            self.close_connection = True
        elif answer.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _answer_error(self, status: int, code: str, message: str) -> None:
        if self._expects_continue:
            # The client does not send the body after all, or does: nobody could tell what comes next.
            self.close_connection = True
        else:
            for _ in self._request_body(half=False):
                pass
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        ).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        # Closing without lingering makes the kernel send a reset rather than a polite end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    @property
    def _is_chunked(self) -> bool:
        return "chunked" in self.headers.get("Transfer-Encoding", "").lower()

    @property
    def _expects_continue(self) -> bool:
        return self.headers.get("Expect", "").lower() == "100-continue"
