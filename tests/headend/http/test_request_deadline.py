"""Work for a caller that has disconnected, or that waits too long, is cancelled."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from django.http import HttpRequest, HttpResponse

from headend.http import request_deadline
from headend.http.request_deadline import (
    CONNECTION_KEY,
    CallerDisconnectedError,
    RequestDeadlineMiddleware,
    is_disconnected,
)
from readings.cancellation import raise_if_cancelled
from readings.repository_errors import RepositoryUnavailableError


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's socket and the caller's."""
    server, caller = socket.socketpair()
    with server, caller:
        yield server, caller


def handle(server: socket.socket) -> HttpResponse:
    def view(request: HttpRequest) -> HttpResponse:
        raise_if_cancelled()
        return HttpResponse("response")

    request = HttpRequest()
    request.META[CONNECTION_KEY] = server
    response = RequestDeadlineMiddleware(view)(request)
    assert isinstance(response, HttpResponse)
    return response


def test_a_connected_caller_gets_a_response(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    assert handle(connection[0]).content == b"response"


def test_a_caller_that_has_sent_its_next_request_is_connected(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    server, caller = connection
    caller.sendall(b"GET /next")
    assert handle(server).content == b"response"
    assert server.recv(100) == b"GET /next"


def test_work_for_a_disconnected_caller_is_cancelled(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    server, caller = connection
    caller.close()
    with pytest.raises(CallerDisconnectedError):
        handle(server)
    raise_if_cancelled()


def test_a_broken_connection_is_a_caller_that_is_disconnected() -> None:
    broken = socket.socket()
    assert is_disconnected(broken)
    broken.close()


def test_work_that_takes_longer_than_the_deadline_is_cancelled(
    connection: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_deadline, "DEADLINE_SECONDS", -1.0)
    with pytest.raises(RepositoryUnavailableError, match="did not answer within"):
        handle(connection[0])
