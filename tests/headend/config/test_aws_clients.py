"""A server of AWS's protocols that answers byte by byte holds a caller only until the deadline of the call."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from exports.stores.s3 import S3Store
from headend.config.aws_clients import LimitedSession, create_client, limit_calls
from headend.config.aws_secrets import SecretsManager
from headend.config.secrets import FileSecrets
from headend.config.service_urls import exports_storage
from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.clients import Clients
from tests.dripping import MUCH_LONGER, Server, drip, running, soon

SECONDS = 0.5
OPTIONS: dict[str, Any] = {
    "region_name": "us-east-1",
    "aws_access_key_id": "key",
    "aws_secret_access_key": "secret",
    # The default has retries. A call that was cut must not be repeated.
    "config": Config(read_timeout=60, s3={"addressing_style": "path"}),
}
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def read_all(connection: socket.socket) -> None:
    """Read what the client sends, and answer nothing."""
    while connection.recv(65536):
        pass


@contextmanager
def client_of(server: Server, scheme: str = "http", seconds: float = SECONDS) -> Iterator[Any]:
    """Run the server for one connection, and yield a client of it."""
    with running(server) as port, soon():
        endpoint = f"{scheme}://127.0.0.1:{port}"
        yield create_client("s3", seconds=seconds, endpoint_url=endpoint, **OPTIONS)


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("scheme", "server"),
    [
        ("http", drip(b"HTTP/1.1 200 OK\r\n", b"x: 1\r\n")),
        ("http", drip(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n", b" ")),
        ("http", drip(b"HTTP/1.1 200 OK\r\n\r\n", b" ")),
        ("http", read_all),
        ("https", drip(b"\x16\x03\x03\x40\x00", b"\x02")),
    ],
    ids=["headers", "body", "body without length", "nothing", "handshake"],
)
def test_a_call_ends_at_its_deadline_and_is_not_repeated(scheme: str, server: Server) -> None:
    with (
        client_of(server, scheme) as client,
        pytest.raises(TimeoutError, match=r"^S3 did not answer within 0\.5 s\.$"),
    ):
        client.list_buckets()


@pytest.mark.starts_processes
def test_a_server_that_reads_no_body_is_cut() -> None:
    ended = threading.Event()
    # botocore first waits for a second whether the server wants the body.
    with client_of(lambda _: ended.wait(6 * MUCH_LONGER), seconds=1.5) as client:
        with pytest.raises(TimeoutError):
            client.put_object(Bucket="b", Key="k", Body=bytes(20_000_000))
        ended.set()


@pytest.mark.starts_processes
def test_the_second_call_on_a_connection_has_a_deadline_too() -> None:
    then_drips = drip(b"HTTP/1.1 200 OK\r\n", b"x: 1\r\n")

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(EMPTY)
        connection.recv(65536)
        then_drips(connection)

    with client_of(serve, seconds=MUCH_LONGER) as client:
        assert client.head_bucket(Bucket="b")["ResponseMetadata"]["HTTPStatusCode"] == 200
        client._endpoint.http_session._seconds = SECONDS
        with pytest.raises(TimeoutError):
            client.head_bucket(Bucket="b")


@pytest.mark.starts_processes
def test_errors_before_the_deadline_are_those_of_botocore() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with client_of(refuse, seconds=MUCH_LONGER) as client, pytest.raises(ClientError):
        client.head_bucket(Bucket="b")


def test_every_client_has_deadlines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    address = TimestreamAddress.of("timestream://database/table?bucket=b")
    timestream = Clients(address)
    secrets = SecretsManager("p", FileSecrets(tmp_path), region="us-east-1", endpoint_url=None)
    from storages.backends.s3 import S3Storage

    store = S3Store(S3Storage(**exports_storage("s3://bucket/prefix")["OPTIONS"]))
    for client in (
        timestream.write, timestream.control, timestream.query, timestream.s3, secrets._client, store._client,
    ):  # fmt: skip
        session = client._endpoint.http_session
        assert isinstance(session, LimitedSession)
        assert limit_calls(client, 1)._endpoint.http_session is session
