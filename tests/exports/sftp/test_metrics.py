"""The Prometheus metrics of an SFTP process."""

from __future__ import annotations

import socket

import pytest
from django.core.management import CommandError, call_command
from prometheus_client import REGISTRY
from pytest_django.fixtures import Settings

from exports.models import FileRequest
from tests.exports.conftest import Connect, wait_until
from tests.ports import unused_port


def sample(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def test_open_sessions_are_counted(connect: Connect) -> None:
    before = sample("headend_sftp_sessions")
    with connect() as transport:
        clients = [transport.open_sftp_client() for _ in range(3)]
        assert [client.listdir("/") for client in clients] == [[], [], []]
        assert sample("headend_sftp_sessions") == before + 3
    wait_until(lambda: sample("headend_sftp_sessions") == before)


def test_sent_bytes_are_counted_during_the_download(
    connect: Connect, completed: FileRequest
) -> None:
    before = sample("headend_sftp_sent_bytes_total")
    with (
        connect() as transport,
        transport.open_sftp_client() as sftp,
        sftp.open(completed.location) as file,
    ):
        file.read(100)
        assert sample("headend_sftp_sent_bytes_total") >= before + 100


def test_the_error_names_a_metrics_port_that_is_in_use(settings: Settings) -> None:
    settings.SFTP_PORT = unused_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings.SFTP_METRICS_PORT = taken.getsockname()[1]
        with pytest.raises(CommandError, match=r"^SFTP_METRICS_PORT: .* set it to a free port"):
            call_command("sftpserver")
