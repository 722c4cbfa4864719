"""Answer one request with the WSGI application, without waiting for a caller that reads slowly."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import ClientDisconnected
from waitress.task import ErrorTask, WSGITask

from headend.http.request_deadline import CONNECTION_KEY
from headend.http.server.refusals import FAILED, RefusalError

log = logging.getLogger(__name__)


class Response(WSGITask):  # type: ignore[misc] # waitress ships no types
    """Calls the application in steps. Between two steps, the caller reads what was written."""

    # Attributes of waitress's class, declared for mypy: waitress ships no types.
    wrote_header: bool
    content_length: int | None

    def __init__(self, connection: Any, request: Any) -> None:
        super().__init__(connection, request)
        self._steps = self._write_in_steps()
        # The trace id and other context variables move with the response from thread to thread.
        self._context = copy_context()

    def proceed(self) -> bool:
        """Write until the response is complete, or until the caller has to read first.

        Return whether the response is complete. It is also complete if it cannot be continued.
        """
        try:
            return self._context.run(self._next_step)
        except ClientDisconnected:
            self.close_on_finish = True
        except Exception as error:
            self._log(error)
            self._break_off()
        return True

    def _log(self, error: Exception) -> None:
        # For example, a download whose access was revoked.
        is_expected = isinstance(error, ConnectionResetError)
        log.log(
            logging.WARNING if is_expected else logging.ERROR,
            "a response was not completed",
            exc_info=not is_expected,
            extra={"path": self.request.path, "error": str(error)},
        )

    def _next_step(self) -> bool:
        for is_complete in self._steps:
            return is_complete
        return True

    def abandon(self) -> None:
        """End a response whose caller has disconnected. The application closes what it has opened for it."""
        self._context.run(self._steps.close)
        self.close_on_finish = True

    def _break_off(self) -> None:
        """Close the connection after what was written. If nothing was written, answer 500 first."""
        self.close_on_finish = True
        if self.wrote_header:
            return
        self.request.error = RefusalError(FAILED)
        with suppress(ClientDisconnected):
            ErrorTask(self.channel, self.request).service()

    def _write_in_steps(self) -> Generator[bool, None, None]:
        """Yield False each time the caller has to read before more is written."""
        self.start()
        body = self.channel.server.application(self.get_environment(), self._start_response)
        try:
            if isinstance(body, ReadOnlyFileBasedBuffer) and self._send_file(body):
                # The connection closes the file when it is sent.
                body = ()
                return
            waits = getattr(body, "streaming", True)
            for block in body:
                self.write(block)
                while waits and self.channel.total_outbufs_len:
                    yield False
        finally:
            if hasattr(body, "close"):
                body.close()
        self.finish()
        self._check_length()

    def _send_file(self, file: Any) -> bool:
        """Give a static file to the connection. Return False if its blocks must be read one by one."""
        size = file.prepare(self.content_length)
        if not size or self.request.command == "HEAD":
            return False
        self.close_on_finish = self.content_length not in (None, size)
        self.content_length = size
        self.write(b"")
        self.channel.write_soon(file)
        return True

    def _start_response(self, status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
        self.complete = True
        self.status = status
        self.response_headers.extend(headers)
        for name, value in headers:
            if name.lower() == "content-length":
                self.content_length = int(value)
        return self.write

    def build_response_header(self) -> bytes:
        """Return the status line and the headers. While the process ends, they say that the connection is closed."""
        if self.channel.server.is_draining:
            # waitress then treats the response as the last one of its connection.
            self.request.headers["CONNECTION"] = "close"
        return bytes(super().build_response_header())

    @property
    def _has_content(self) -> bool:
        return bool(self.has_body) and self.request.command != "HEAD"

    def write(self, data: bytes) -> None:
        """Send a block of the body, and the headers before the first one."""
        if not self.wrote_header:
            head = self.build_response_header()
            self.wrote_header = True
            # One packet for a small response.
            data = head + self._framed(data)
        else:
            data = self._framed(data)
        self.channel.write_soon(data)

    def _framed(self, data: bytes) -> bytes:
        if not data or not self._has_content:
            return b""
        if self.chunked_response:
            return b"%X\r\n%b\r\n" % (len(data), data)
        if self.content_length is not None:
            data = data[: self.content_length - self.content_bytes_written]
        self.content_bytes_written += len(data)
        return data

    def finish(self) -> None:
        """Send what ends the response."""
        if not self.wrote_header:
            self.write(b"")
        if self.chunked_response and self._has_content:
            self.channel.write_soon(b"0\r\n\r\n")

    def _check_length(self) -> None:
        expected = self.content_length
        if expected is not None and self._has_content and self.content_bytes_written != expected:
            log.error(
                "a response was shorter than announced",
                extra={"path": self.request.path, "bytes": self.content_bytes_written},
            )
            self.close_on_finish = True

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment of the request."""
        environ: dict[str, Any] = super().get_environment()
        environ[CONNECTION_KEY] = self.channel.socket
        return environ
