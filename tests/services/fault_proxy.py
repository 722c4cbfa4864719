"""A proxy in front of an S3 server that lets a share of the calls fail: errors, resets, hangs, partial bodies.

It forwards all other calls unchanged, with the Host header: the client signs the proxy's address, and the server
verifies the signature with the header that it receives.
"""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_BLOCK_BYTES = 256 * 1024
_TIMEOUT_SECONDS = 120
OnCall = Callable[[str, str, dict[str, str]], None]


class Fault(StrEnum):
    """What goes wrong with a call."""

    INTERNAL_ERROR = "500 InternalError"
    SLOW_DOWN = "503 SlowDown"
    RESET = "reset before the server receives the call"
    HANG = "no response for some time, then a reset"
    CUT_UPLOAD = "half of the request's body reaches the server, then a reset"
    # The server has executed the call, and the client cannot know. A response without a body is lost completely.
    CUT_RESPONSE = "half of the response's body, then the end of the connection"


_S3_ERRORS = {
    Fault.INTERNAL_ERROR: (500, "InternalError", "We encountered an internal error."),
    Fault.SLOW_DOWN: (503, "SlowDown", "Please reduce your request rate."),
}


class FaultProxy:
    """A proxy in front of ``upstream`` (``http://host:port``). It runs at ``url`` inside a ``with`` block.

    ``share`` (0 to 1) of the calls get one of the faults ``kinds``. The faults are random numbers from ``seed``, in
    the order of the calls. The rarest faults come first, so a short run has each of them. ``CUT_UPLOAD`` is only
    for calls with a body. ``share`` can be changed at any time. ``faults`` counts the faults, ``calls`` all calls.
    Every call takes ``delay_seconds`` longer, as over a network.
    With ``knows_checksums=False`` it is a server that refuses the checksums that boto3 sends since version 1.36.
    ``on_call`` gets the method, the path and the headers of each call.
    """

    def __init__(
        self,
        upstream: str,
        *,
        share: float = 0.1,
        kinds: Collection[Fault] = tuple(Fault),
        seed: int = 0,
        hang_seconds: float = 5.0,
        delay_seconds: float = 0.0,
        knows_checksums: bool = True,
        on_call: OnCall = lambda *_: None,
    ) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.share = share
        self.kinds = [kind for kind in Fault if kind in kinds]
        self.hang_seconds = hang_seconds
        self.delay_seconds = delay_seconds
        self.knows_checksums = knows_checksums
        self.on_call = on_call
        self.faults: Counter[Fault] = Counter()
        self.calls = 0
        self.stopping = threading.Event()
        self._draw = random.Random(seed)
        self._lock = threading.Lock()
        self._server = _Server(self)

    @property
    def url(self) -> str:
        """The address for clients, in place of the server's address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def next_fault(self, *, has_body: bool) -> Fault | None:
        """Return the fault of the next call, or None, and count it."""
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
    # Do not wait for connections that clients keep open.
    block_on_close = False
    request_queue_size = 256

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Call)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close the socket without a shutdown, which would come before the reset."""
        self.close_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a closed connection: the other side's connection is already closed too."""


def _is_newer_checksum(header: tuple[str, str]) -> bool:
    """Return whether a header belongs to the checksums that old servers do not know."""
    name, value = header[0].lower(), header[1].lower()
    return name.startswith(("x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-trailer")) or (
        name == "content-encoding" and "aws-chunked" in value
    )


class _ConnectionClosedError(ConnectionError):
    """The client closed its connection before the end of its message."""


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _TIMEOUT_SECONDS
    server: _Server

    def handle_call(self) -> None:
        """Forward one call, or let it fail."""
        proxy = self.server.proxy
        proxy.on_call(self.command, self.path, dict(self.headers.items()))
        proxy.stopping.wait(proxy.delay_seconds)
        length = int(self.headers.get("Content-Length", 0))
        fault = proxy.next_fault(has_body=length > 0 or self._is_chunked)
        if not proxy.knows_checksums and any(map(_is_newer_checksum, self.headers.items())):
            self._send_error(
                501, "NotImplemented", "A header that you provided is not implemented."
            )
        elif fault in _S3_ERRORS:
            self._send_error(*_S3_ERRORS[fault])
        elif fault is Fault.RESET:
            self._reset()
        elif fault is Fault.HANG:
            proxy.stopping.wait(proxy.hang_seconds)
            self._reset()
        else:
            self._forward(fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = handle_call  # noqa: N815 (http.server's names)

    def handle_expect_100(self) -> bool:
        """Send no 100 Continue yet: a fault can make the body unnecessary."""
        return True

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def _forward(self, fault: Fault | None) -> None:
        upstream = http.client.HTTPConnection(self.server.proxy.upstream, timeout=_TIMEOUT_SECONDS)
        try:
            self._send_request(upstream, fault)
            if fault is Fault.CUT_UPLOAD:
                self._reset()
            else:
                self._send_response(upstream.getresponse(), fault)
        except (OSError, http.client.HTTPException):
            # Whichever side closed its connection: the client gets a reset.
            self._reset()
        finally:
            upstream.close()

    def _send_request(self, upstream: http.client.HTTPConnection, fault: Fault | None) -> None:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders()
        for block in self._request_body(half=fault is Fault.CUT_UPLOAD):
            try:
                upstream.send(block)
            except (BrokenPipeError, ConnectionResetError):
                # The server has answered before the end of the body and does not read the rest.
                self.close_connection = True
                return

    def _request_body(self, *, half: bool) -> Iterator[bytes]:
        """Yield the bytes of the body as received, with the lines around chunks and the trailers."""
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
            raise _ConnectionClosedError("the client closed the connection")
        return line

    def _read(self, length: int) -> Iterator[bytes]:
        while length:
            block = self.rfile.read1(min(length, _BLOCK_BYTES))
            if not block:
                raise _ConnectionClosedError("the client closed the connection")
            length -= len(block)
            yield block

    def _send_response(self, response: http.client.HTTPResponse, fault: Fault | None) -> None:
        has_body = self.command != "HEAD" and response.length != 0
        if fault is Fault.CUT_RESPONSE and not has_body:
            self._reset()
            return
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            self.send_header(name, value)
        self.end_headers()
        if response.length is None and not response.chunked:
            self.close_connection = True
        if has_body:
            self._send_body(response, cut=fault is Fault.CUT_RESPONSE)

    def _send_body(self, response: http.client.HTTPResponse, *, cut: bool) -> None:
        left = None if response.length is None else response.length // 2 if cut else response.length
        while left != 0:
            block = response.read1(_BLOCK_BYTES if left is None else min(left, _BLOCK_BYTES))
            if not block:
                break
            left = None if left is None else left - len(block)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if response.chunked else block)
            if cut and left is None:
                break
        if cut or left:
            self.close_connection = True
        elif response.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _send_error(self, status: int, code: str, message: str) -> None:
        if self._expects_continue:
            # The client can send the body or not, so the next bytes on the connection are ambiguous.
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
        # With a linger time of 0, the kernel sends a reset when the socket is closed.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    @property
    def _is_chunked(self) -> bool:
        return "chunked" in self.headers.get("Transfer-Encoding", "").lower()

    @property
    def _expects_continue(self) -> bool:
        return self.headers.get("Expect", "").lower() == "100-continue"
