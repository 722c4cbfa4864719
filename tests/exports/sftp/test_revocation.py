"""A deactivated supplier's and a deleted key's connections end within seconds, even during a download."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import paramiko
import pytest
from django.db import OperationalError, connection

from exports.models import FileFetch, FileRequest, SshKey, Supplier
from exports.sftp import revocation, server
from exports.sftp.authentication import OUTAGE
from exports.sftp.filesystem import SupplierFilesystem
from headend.config.limited_log import LimitedLog
from tests.exports.conftest import Connect, wait_until

Key = tuple[SshKey, paramiko.PKey]


@pytest.fixture(autouse=True)
def short_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.REVOCATION_SECONDS + server._POLL_SECONDS < 5
    monkeypatch.setattr(server, "REVOCATION_SECONDS", 0.1)


REVOCATIONS: dict[str, Callable[[SshKey], object]] = {
    "supplier": lambda key: Supplier.objects.filter(pk=key.supplier_id).update(active=False),
    "key": lambda key: key.delete(),
    "another key": lambda key: SshKey.objects.filter(pk=key.pk).update(public_key="ssh-rsa x"),
}


@pytest.mark.parametrize("revoke", REVOCATIONS.values(), ids=REVOCATIONS.keys())
def test_a_download_and_its_connection_end_when_access_is_revoked(
    connect: Connect, alices_key: Key, completed: FileRequest, revoke: Callable[[SshKey], object]
) -> None:
    with connect() as client, client.open_sftp_client() as sftp:
        file = sftp.open(completed.location)
        assert file.read(2) == b"\x1f\x8b"
        revoke(alices_key[0])
        client.join(10)
        assert not client.is_active()
        with pytest.raises((OSError, EOFError, paramiko.SSHException)):
            file.read(1)
    wait_until(FileFetch.objects.filter(request=completed).exists)


def test_other_connections_continue(
    connect: Connect, alices_key: Key, bob: Supplier, sftp_port: int
) -> None:
    stored, private = alices_key
    SshKey.objects.create(
        supplier=bob, public_key=stored.public_key, fingerprint=stored.fingerprint
    )
    with connect() as client, paramiko.Transport(("127.0.0.1", sftp_port)) as bobs:
        bobs.connect(username="bob", pkey=private)
        stored.delete()
        client.join(10)
        assert not client.is_active()
        with bobs.open_sftp_client() as sftp:
            assert sftp.listdir("/") == []


def test_without_a_database_open_connections_continue_and_the_check_too(
    connect: Connect,
    alices_key: Key,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    checks = []

    def fail(*_: object) -> None:
        checks.append(1)
        raise OperationalError("database is locked")

    monkeypatch.setattr(server, "limited_log", LimitedLog(server.log, seconds=3600))
    with connect() as client, client.open_sftp_client() as sftp:
        with monkeypatch.context() as locked:
            locked.setattr(revocation, "revoked", fail)
            wait_until(lambda: len(checks) > 3)
        assert sftp.listdir("/") == []
        alices_key[0].delete()
        client.join(10)
        assert not client.is_active()
    lines = [line for line in log_lines() if line["level"] != "INFO"]
    assert [(line["level"], line["error"]) for line in lines] == [("WARNING", "database is locked")]


def test_a_request_without_a_database_fails_with_a_message_and_the_session_continues(
    connect: Connect, completed: FileRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("database is locked")

    with connect() as client, client.open_sftp_client() as sftp:
        with monkeypatch.context() as locked:
            for method in ("list_folder", "entry", "open", "usage"):
                locked.setattr(SupplierFilesystem, method, fail)
            for request in (sftp.listdir, sftp.stat, sftp.open):
                with pytest.raises(OSError, match=OUTAGE):
                    request("/")
        assert sftp.listdir("/") == [str(completed.pk)]


def test_a_login_without_a_database_ends_with_a_message(
    sftp_port: int, alices_key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("database is locked")

    messages = []
    with paramiko.Transport(("127.0.0.1", sftp_port)) as client:
        monkeypatch.setattr(
            client,
            "_parse_disconnect",
            lambda message: messages.append((message.get_int(), message.get_text())),
        )
        with monkeypatch.context() as locked:
            locked.setattr("exports.sftp.authentication.find_key", fail)
            with pytest.raises(paramiko.SSHException):
                client.connect(username="alice", pkey=alices_key[1])
    assert messages == [(7, OUTAGE)]


def test_a_locked_database_delays_no_login_and_no_download(
    connect: Connect, completed: FileRequest
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite locks the whole database")
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
        other.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        with connect() as client, client.open_sftp_client() as sftp:
            assert sftp.listdir("/") == [str(completed.pk)]
            file = sftp.open(completed.location)
            assert len(file.read()) == completed.size
            waited = time.monotonic() - started
            other.rollback()
    assert waited < connection.settings_dict["OPTIONS"]["timeout"]


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (OperationalError("database is locked"), ("WARNING", "the database cannot be used")),
        (ValueError("a mistake"), ("ERROR", "access cannot be checked")),
    ],
)
def test_an_error_of_the_check_is_logged_once_and_the_next_check_follows(
    error: Exception,
    logged: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    checks = iter([error, None])

    def check(_: object) -> list[object]:
        failure = next(checks)
        if failure is not None:
            raise failure
        # The second call ends the drain. Connections are checked until then.
        listener.stop()
        listener.stop()
        return []

    monkeypatch.setattr(server, "REVOCATION_SECONDS", 0)
    monkeypatch.setattr(server, "limited_log", LimitedLog(server.log))
    monkeypatch.setattr(revocation, "revoked", check)
    listener = server.Listener("127.0.0.1", 0, [])
    with listener._socket:
        listener._cut_revoked_connections()
    assert [(line["level"], line["message"]) for line in log_lines()] == [logged]
