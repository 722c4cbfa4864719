"""A download whose access is revoked is cut, also while its client does not read."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

import pytest
from django.http import HttpRequest
from django.http.response import HttpResponse, HttpResponseBase
from django.test import Client

from exports.delivery import http_download
from exports.delivery.http_download import DownloadResponse, DownloadRevokedError
from exports.delivery.links import download_path
from exports.models import FileRequest
from headend.http import running_downloads
from headend.http.request_deadline import CONNECTION_KEY
from headend.http.running_downloads import (
    RunningDownload,
    RunningDownloads,
    RunningDownloadsMiddleware,
)


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Whether the download is allowed now, under the key ``now``. It is checked each time."""
    monkeypatch.setattr(http_download, "CHECK_SECONDS", 0.0)
    return {"now": True}


@pytest.fixture
def response(
    operator: Client, completed: FileRequest, allowed: dict[str, bool]
) -> Iterator[DownloadResponse]:
    """A download that has begun."""
    found = operator.get(download_path(completed))
    assert isinstance(found, DownloadResponse)
    found.body._is_allowed = lambda: allowed["now"]
    yield found
    found.close()


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection with a full send buffer: the server's and the client's socket."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        server, _ = listener.accept()
        with server:
            server.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    server.send(bytes(65536))
            client.settimeout(30)
            yield server, client


def read_all(client: socket.socket) -> None:
    """Read until the end of the connection."""
    while client.recv(2**20):
        pass


def test_a_client_that_does_not_read_gets_a_reset_and_not_what_was_buffered(
    response: DownloadResponse,
    connection: tuple[socket.socket, socket.socket],
    allowed: dict[str, bool],
) -> None:
    server, client = connection
    download = RunningDownload(response, server)
    download.cut_if_revoked()
    assert len(client.recv(1)) == 1
    allowed["now"] = False
    download.cut_if_revoked()
    with pytest.raises(BrokenPipeError):
        server.send(b"x")
    server.close()
    with pytest.raises(ConnectionResetError):
        read_all(client)
    download.cut_if_revoked()
    with pytest.raises(DownloadRevokedError):
        list(response)


@pytest.mark.starts_processes
def test_a_thread_watches_downloads_until_they_are_closed(
    response: DownloadResponse, allowed: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_downloads, "POLL_SECONDS", 0.01)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        running = RunningDownloads()
        running.add(RunningDownload(response, ours))
        theirs.settimeout(30)
        allowed["now"] = False
        assert theirs.recv(1) == b""
        response.close()
        while running._still_open():
            pass


@pytest.mark.starts_processes
def test_without_a_free_thread_a_download_goes_on_and_the_next_one_starts_the_thread(
    response: DownloadResponse, allowed: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_downloads, "POLL_SECONDS", 0.01)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        running = RunningDownloads()
        with monkeypatch.context() as exhausted:
            exhausted.setattr(threading, "Thread", _refuse_to_start)
            running.add(RunningDownload(response, ours))
        running.add(RunningDownload(response, ours))
        theirs.settimeout(30)
        allowed["now"] = False
        assert theirs.recv(1) == b""
        response.close()
        while running._still_open():
            pass


def _refuse_to_start(**_: object) -> NoReturn:
    raise RuntimeError("can't start new thread")


def test_only_downloads_are_watched(
    response: DownloadResponse, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[RunningDownload] = []
    monkeypatch.setattr(RunningDownloads, "add", lambda _, download: watched.append(download))
    ours, theirs = socket.socketpair()
    answers: list[HttpResponseBase] = [response, HttpResponse(), response]
    middleware = RunningDownloadsMiddleware(lambda _: answers.pop())
    with ours, theirs:
        request = HttpRequest()
        middleware(request)
        request.META[CONNECTION_KEY] = ours
        middleware(request)
        middleware(request)
    assert watched == [RunningDownload(response, ours)]


def test_a_revoked_download_stays_revoked(
    response: DownloadResponse, allowed: dict[str, bool]
) -> None:
    allowed["now"] = False
    for _ in range(2):
        with pytest.raises(DownloadRevokedError):
            response.body.check_if_due()
        allowed["now"] = True
