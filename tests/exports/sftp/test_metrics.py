"""What an SFTP process tells Prometheus of itself."""

from __future__ import annotations

import socket
import time

import pytest
from django.core.management import CommandError, call_command
from prometheus_client import REGISTRY
from pytest_django.fixtures import Settings

from exports.models import FileRequest
from tests.deployment import free_port
from tests.exports.delivery.conftest import Connect

PATIENCE_SECONDS = 30


def sample(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def wait_for_sessions(count: float) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sample("headend_sftp_sessions") != count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_open_sessions_are_counted_until_they_end(connect: Connect) -> None:
    before = sample("headend_sftp_sessions")
    with connect() as transport:
        clients = [transport.open_sftp_client() for _ in range(3)]
        assert [client.listdir("/") for client in clients] == [[], [], []]
        assert sample("headend_sftp_sessions") == before + 3
    wait_for_sessions(before)


def test_bytes_are_counted_as_they_are_sent(connect: Connect, completed: FileRequest) -> None:
    before = sample("headend_sftp_sent_bytes_total")
    with (
        connect() as transport,
        transport.open_sftp_client() as sftp,
        sftp.open(completed.location) as file,
    ):
        file.read(100)
        assert sample("headend_sftp_sent_bytes_total") >= before + 100


def test_a_metrics_port_that_is_taken_is_named(settings: Settings) -> None:
    settings.SFTP_PORT = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings.SFTP_METRICS_PORT = taken.getsockname()[1]
        with pytest.raises(CommandError, match=r"^SFTP_METRICS_PORT: .* set it to a free port"):
            call_command("sftpserver")
