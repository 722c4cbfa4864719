"""A lost connection or a full disk costs one request, and no traceback in the log."""

from __future__ import annotations

import errno
import logging
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import pytest

from headend.config.limited_log import LimitedLog
from headend.http.server import request_parser
from tests.headend.http.server.serving import reset, serving, wait_until

pytestmark = pytest.mark.starts_processes

POST = b"POST / HTTP/1.1\r\nContent-Length: 200000\r\n"


class LostSocket:
    """A socket that cannot send: its connection is lost."""

    def __init__(self, real: socket.socket, error: int) -> None:
        self._real = real
        self._error = error
        self.has_failed = threading.Event()

    def send(self, data: bytes) -> int:
        self.has_failed.set()
        raise OSError(self._error, os.strerror(self._error))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("error", [errno.ECONNRESET, errno.ETIMEDOUT])
def test_a_connection_that_is_lost_before_its_body_is_no_error(
    error: int, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    with serving() as server, server.connect() as caller:
        wait_until(lambda: server.connections() == 1)
        (connection,) = server.listener.active_channels.values()
        lost = connection.socket = LostSocket(connection.socket, error)
        caller.sendall(POST + b"Expect: 100-continue\r\n\r\n")
        assert lost.has_failed.wait(30)
        reset(caller)
        wait_until(lambda: server.connections() == 0)
        assert server.answers()
    assert log_lines() == []


def test_a_body_that_cannot_be_stored_is_a_503(
    log_lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    limited = LimitedLog(logging.getLogger(request_parser.__name__), seconds=3600)
    monkeypatch.setattr(request_parser, "_log", limited)
    with serving() as server:
        for _ in range(2):
            response = server.response_to(POST + b"\r\n" + b"x" * 200_000)
            assert response.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert server.answers()
    assert [line["message"] for line in log_lines()] == ["a request was not stored"]
