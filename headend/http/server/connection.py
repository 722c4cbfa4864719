"""One connection: it buffers requests and responses, so that a slow caller occupies no thread."""

from __future__ import annotations

import enum
import logging
import socket
import time
from contextlib import suppress
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.task import ErrorTask

from headend.config.addresses import network_of
from headend.http.health_probes import is_live_probe
from headend.http.server.limits import Limits
from headend.http.server.reading_deadline import ReadingDeadline
from headend.http.server.request_parser import RequestParser
from headend.http.server.response import Response
from headend.http.server.threads import Caller

log = logging.getLogger(__name__)

CREDENTIALS = ("AUTHORIZATION", "X_API_KEY", "COOKIE")
"""Headers with credentials, in the order in which Django uses them."""


class _Progress(enum.Enum):
    """How a step of a response has ended."""

    MUST_BE_READ = enum.auto()
    """The response continues when the caller has read what was written."""
    ENDS = enum.auto()
    """The response is complete. The connection stays open for the next request."""
    ENDS_CONNECTION = enum.auto()
    """The response is complete or was interrupted. The connection is closed after it."""


class Connection(HTTPChannel):  # type: ignore[misc] # waitress ships no types
    """Adds total deadlines to waitress's channel, and answers one request at a time.

    The main thread reads requests and sends what a response has left in the buffer. A thread of the pool runs
    :meth:`service` to begin or continue a response. ``outbuf_lock`` guards the buffer. Only the main thread closes
    the connection.
    """

    parser_class = RequestParser
    request: RequestParser | None
    """The request that is being received."""
    requests: list[RequestParser]
    """The request that is being answered, or none."""

    def __init__(
        self, server: Any, sock: socket.socket, address: Any, *args: Any, **kw: Any
    ) -> None:
        super().__init__(server, sock, address, *args, **kw)
        self.network = network_of(address[0])
        self.caller = Caller(self.network, self.network)
        self.waiting_since = time.monotonic()
        """When the server began to wait for bytes from this caller."""
        self._limits: Limits = server.limits
        self._has_had_request = False
        self._unparsed = b""
        """Received bytes that are not parsed yet."""
        self._response: Response | None = None
        self._continues_when_flushed = False
        self._reading_deadline = ReadingDeadline(self._limits)
        """The deadline of the present response."""
        self._was_refused = False
        self._lingers = False
        """Whether the rest of a refused request is read and dropped."""
        self._dropped_bytes = 0

    # --- deadlines, in the main thread ---

    @property
    def counted_network(self) -> str:
        """The network for which this connection counts: that of the caller or, if it is not known, of the proxy."""
        return self.caller.address or self.network

    @property
    def is_idle(self) -> bool:
        """Whether the server does nothing for this connection: it waits for a request, or for the rest of it."""
        return not (self.requests or self.total_outbufs_len)

    def is_overdue(self, now: float) -> bool:
        """Return whether the caller has taken too long for the present phase."""
        if self.total_outbufs_len:
            with self.outbuf_lock:
                return bool(self.total_outbufs_len) and self._reading_deadline.is_over(now)
        return not self.requests and now > self.waiting_since + self._seconds_to_wait()

    def _seconds_to_wait(self) -> float:
        if self._lingers:
            return self._limits.linger_seconds
        if self.request is not None and self.request.headers_finished:
            return self._limits.body_seconds
        if self.request is None and self._has_had_request:
            return float(self.server.idle_seconds)
        return self._limits.header_seconds

    # --- requests, in the main thread ---

    def readable(self) -> bool:
        """Return whether to read more from the caller."""
        return self._lingers or (not self._unparsed and bool(super().readable()))

    def received(self, data: bytes) -> bool:
        """Process received bytes."""
        if self._lingers:
            self._dropped_bytes += len(data)
            self.will_close = self._dropped_bytes > self._limits.linger_bytes
        else:
            self._unparsed += data
            self._parse_next()
        return True

    def _parse_next(self) -> None:
        """Parse what has arrived, up to the end of one request. The next one follows after its response."""
        with self.requests_lock:
            while not (self.will_close or self.close_when_flushed or self.requests):
                if self.request is None:
                    # An empty line does not begin a request, so it must not extend the deadline.
                    self._unparsed = self._unparsed.lstrip(b"\r\n")
                if not self._unparsed:
                    return
                request = self.request = self.request or self._new_request()
                self._unparsed = self._unparsed[request.received(self._unparsed) :]
                if request.completed:
                    self._begin_response(request)
                elif request.expect_continue and request.headers_finished:
                    self._ask_for_body(request)

    def _new_request(self) -> RequestParser:
        if self._has_had_request:
            self.waiting_since = time.monotonic()
        self._reading_deadline = ReadingDeadline(self._limits)
        return self.parser_class(self.adj)

    def _ask_for_body(self, request: RequestParser) -> None:
        request.expect_continue = False
        # The system reports a lost connection to the main thread, which then closes it.
        with suppress(ClientDisconnected):
            self.write_soon(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _begin_response(self, request: Any) -> None:
        self.request = None
        self._has_had_request = True
        self.caller = self._caller(request)
        self.requests.append(request)
        self.server.add_task(self)

    def _caller(self, request: Any) -> Caller:
        headers: dict[str, str] = request.headers
        known = self.server.caller_address(self.addr[0], headers.get("X_FORWARDED_FOR", ""))
        address = None
        if known is not None:
            address = self.network if known == self.addr[0] else network_of(known)
        # The name of the header distinguishes a credential from an address with the same text.
        sent = (f"{name}: {headers[name]}" for name in CREDENTIALS if headers.get(name))
        is_probe = request.error is None and is_live_probe(request.path)
        return Caller(next(sent, address or self.network), address, is_probe)

    # --- responses, in a thread of the pool ---

    def service(self) -> None:
        """Begin or continue the response, until it is complete or the caller has to read first."""
        request = self.requests[0]
        try:
            progress = self._answer(request)
        except Exception:
            # Otherwise the request would stay in the list, and the connection would never be overdue.
            log.exception("a response was not completed")
            progress = _Progress.ENDS_CONNECTION
        if progress is _Progress.MUST_BE_READ:
            self._wait_for_caller()
        else:
            self._end_response(request, closes=progress is _Progress.ENDS_CONNECTION)

    def _answer(self, request: Any) -> _Progress:
        """Run a step of the response."""
        if request.error:
            with suppress(ClientDisconnected):
                ErrorTask(self, request).service()
            self._was_refused = True
            return _Progress.ENDS_CONNECTION
        if self._response is None:
            self._response = Response(self, request)
        if not self.connected:
            self._response.abandon()
        elif not self._response.proceed():
            return _Progress.MUST_BE_READ
        return _Progress.ENDS_CONNECTION if self._response.close_on_finish else _Progress.ENDS

    def _wait_for_caller(self) -> None:
        with self.outbuf_lock:
            waits = self._continues_when_flushed = bool(self.connected and self.total_outbufs_len)
        if waits:
            self.server.pull_trigger()
        else:
            self.server.add_task(self)

    def _end_response(self, request: Any, *, closes: bool) -> None:
        request.close()
        self._response = None
        # waitress then uses another buffer for the next response, and frees this one.
        self.current_outbuf_count = self.adj.outbuf_high_watermark
        self.waiting_since = time.monotonic()
        with self.requests_lock:
            self.close_when_flushed = closes
            self.requests = []
        if self.connected:
            self.server.trigger.pull_trigger(self._after_flush)

    def write_soon(self, data: Any) -> int:
        """Send what the system accepts now, without waiting. The main thread sends the rest."""
        with self.outbuf_lock:
            if not self.connected:
                raise ClientDisconnected
            self._reading_deadline.add(len(data))
            if isinstance(data, bytes) and not self.total_outbufs_len:
                try:
                    data = data[self.send(data, do_close=False) :]
                except OSError:
                    raise ClientDisconnected from None
            written = int(super().write_soon(data)) if len(data) else 0
            self._update_deadline()
            return written

    def _update_deadline(self) -> None:
        is_unread = bool(self.total_outbufs_len)
        self._reading_deadline.update(time.monotonic(), is_unread=is_unread)

    # --- the buffer, in the main thread ---

    def handle_write(self) -> None:
        """Send from the buffer."""
        with self.outbuf_lock:
            self._flush_exception(self._flush_some)
            self._update_deadline()
        self._after_flush()

    def _after_flush(self) -> None:
        """Continue or end the response if everything in the buffer is sent."""
        if not self.connected:
            return
        if self.will_close:
            self.handle_close()
        elif self._lingers:
            # The rest of a refused request must not be read as a request.
            return
        elif self.total_outbufs_len:
            return
        elif self._continues_when_flushed:
            self._continues_when_flushed = False
            self.server.add_task(self)
        elif not self.close_when_flushed:
            self._parse_next()
        elif self._was_refused:
            self._linger()
        else:
            self.handle_close()

    def _linger(self) -> None:
        """Tell the caller that the response is complete, and drop what it still sends.

        If the connection were closed with unread data, TCP would reset it and the caller could lose the response.
        """
        self.close_when_flushed = False
        self._lingers = True
        self.waiting_since = time.monotonic()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.handle_close()

    def handle_close(self) -> None:
        """Close the connection. A thread ends the response that waits for the caller."""
        super().handle_close()
        with self.outbuf_lock:
            continues, self._continues_when_flushed = self._continues_when_flushed, False
        if continues:
            self.server.add_task(self)
        elif self.request is not None:
            self.request.close()
            self.request = None

    def handle_expt(self) -> None:
        """Close a connection with urgent data. HTTP has none, and it would wake the main thread again and again."""
        self.handle_close()
