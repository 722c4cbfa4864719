"""At SIGTERM the SFTP server accepts no new connection, and transfers finish."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import paramiko
import pytest

from exports.models import FileFetch, FileRequest, SshKey
from exports.sftp import server
from exports.sftp.host_keys import host_keys
from exports.sftp.server import Listener
from tests.exports.conftest import wait_until

Key = tuple[SshKey, paramiko.PKey]
DRAIN_SECONDS = 3600


@pytest.fixture
def listener(transactional_db: None, starts_processes: None) -> Iterator[Listener]:
    """A running SFTP server with an hour for the work of open connections."""
    running = Listener("127.0.0.1", 0, host_keys(), drain_seconds=DRAIN_SECONDS)
    thread = threading.Thread(target=running.serve)
    thread.start()
    yield running
    # The first call begins the drain, and the second one ends it.
    running.stop()
    running.stop()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def connect(listener: Listener, alices_key: Key) -> Callable[[], paramiko.SFTPClient]:
    """A function that opens a session of Alice."""

    def connected() -> paramiko.SFTPClient:
        transport = paramiko.Transport(("127.0.0.1", listener.port))
        transport.connect(username="alice", pkey=alices_key[1])
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        return client

    return connected


@contextmanager
def stopped(listener: Listener) -> Iterator[None]:
    """Stop the server, and wait until it accepts no more connections."""
    address = ("127.0.0.1", listener.port)
    listener.stop()
    wait_until(lambda: listener._socket.fileno() < 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=30)
    yield


def test_a_download_that_has_begun_is_completed_and_recorded(
    listener: Listener, connect: Callable[[], paramiko.SFTPClient], completed: FileRequest
) -> None:
    client = connect()
    with client.open(completed.location) as file:
        first = file.read(10)
        with stopped(listener):
            rest = file.read()
    client.close()
    assert len(first) + len(rest) == completed.size
    wait_until(FileFetch.objects.filter(bytes_sent=completed.size).exists)


def test_a_client_that_sends_no_request_is_disconnected(
    listener: Listener,
    connect: Callable[[], paramiko.SFTPClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "DRAIN_IDLE_SECONDS", 0.1)
    client = connect()
    with stopped(listener):
        channel = client.get_channel()
        assert channel is not None
        wait_until(lambda: not channel.get_transport().is_active())
