"""How long a call waits for the store."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from django.http import HttpRequest, HttpResponse

from headend.http import request_deadline
from headend.http.request_deadline import (
    CallerDisconnectedError,
    RequestDeadlineMiddleware,
    is_disconnected,
)
from readings.repositories import RepositoryUnavailableError
from readings.repositories.cancellation import raise_if_cancelled


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end and the caller's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def call(ours: socket.socket) -> HttpResponse:
    def view(request: HttpRequest) -> HttpResponse:
        raise_if_cancelled()
        return HttpResponse("answered")

    request = HttpRequest()
    request.META["gunicorn.socket"] = ours
    answer = RequestDeadlineMiddleware(view)(request)
    assert isinstance(answer, HttpResponse)
    return answer


def test_a_caller_that_waits_is_answered(connection: tuple[socket.socket, socket.socket]) -> None:
    assert call(connection[0]).content == b"answered"


def test_a_caller_that_has_sent_its_next_call_waits_all_the_same(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = connection
    theirs.sendall(b"GET /next")
    assert call(ours).content == b"answered"
    assert ours.recv(100) == b"GET /next"


def test_work_for_a_caller_that_has_gone_ends(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = connection
    theirs.close()
    with pytest.raises(CallerDisconnectedError):
        call(ours)
    raise_if_cancelled()


def test_a_broken_connection_is_a_caller_that_is_disconnected() -> None:
    broken = socket.socket()
    assert is_disconnected(broken)
    broken.close()


def test_no_call_waits_longer_than_its_time(
    connection: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_deadline, "DEADLINE_SECONDS", -1.0)
    with pytest.raises(RepositoryUnavailableError, match="did not answer within"):
        call(connection[0])
