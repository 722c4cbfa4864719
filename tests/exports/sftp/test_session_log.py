"""Each SFTP session has a row in the database, from the login to the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest
from django.db import OperationalError
from django.utils import timezone

from exports.models import FileRequest, SftpSession, SshKey, Supplier
from exports.sftp.authentication import ConnectionAuth
from exports.sftp.quotas import Quotas
from exports.sftp.session_log import LOST_AFTER, SessionLog
from headend.config.sftp_limits import SftpLimits
from headend.portal.delivery_activity import open_sessions, past_sessions
from tests.exports.conftest import Connect, wait_until


def test_a_session_is_recorded_from_the_login_to_the_end(
    connect: Connect, completed: FileRequest
) -> None:
    with connect() as transport, transport.open_sftp_client() as sftp:
        wait_until(SftpSession.objects.exists)
        [session] = open_sessions(timezone.now())
        assert (session.supplier, session.peer) == (completed.supplier, "127.0.0.1")
        assert session.who.startswith("SHA256:")
        with sftp.open(completed.location) as file:
            sent = len(file.read())
    wait_until(SftpSession.objects.filter(ended_at__isnull=False).exists)
    session.refresh_from_db()
    assert session.bytes_sent == sent == completed.size
    assert not open_sessions(timezone.now()).exists()


@pytest.mark.parametrize(
    ("seen", "is_open"),
    [
        (timedelta(0), True),
        (-2 * LOST_AFTER, False),
        (timedelta(days=3650), False),
    ],
)
def test_a_session_that_was_not_seen_lately_or_only_in_the_future_is_lost(
    alice: Supplier, seen: timedelta, *, is_open: bool
) -> None:
    now = timezone.now()
    SftpSession.objects.create(supplier=alice, who="SHA256:x", peer="::1", seen_at=now + seen)
    assert open_sessions(now).exists() is is_open
    assert past_sessions(now).exists() is not is_open


def test_a_very_short_session_is_recorded_too(connect: Connect) -> None:
    with connect() as transport, transport.open_sftp_client() as sftp:
        sftp.listdir("/")
    wait_until(SftpSession.objects.filter(ended_at__isnull=False).exists)
    assert SftpSession.objects.count() == 1


def test_a_login_without_a_database_ends_the_connection_with_one_line(
    db: None, monkeypatch: pytest.MonkeyPatch, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("connection failed")

    monkeypatch.setattr("exports.sftp.authentication.find_key", refuse)
    with pytest.raises(EOFError):
        ConnectionAuth("::1", "trace", Quotas(SftpLimits())).check_auth_publickey(
            "alice", paramiko.PKey()
        )
    [line] = log_lines()
    assert (line["level"], line["error"]) == ("ERROR", "connection failed")
    assert "exc_info" not in line


def test_a_failed_login_is_not_recorded(sftp_port: int, alice: Supplier) -> None:
    unknown_key = paramiko.RSAKey.generate(2048)
    with (
        paramiko.Transport(("127.0.0.1", sftp_port)) as transport,
        pytest.raises(paramiko.AuthenticationException),
    ):
        transport.connect(username="alice", pkey=unknown_key)
    time.sleep(1)
    assert not SftpSession.objects.exists()


def logged_in(supplier: Supplier) -> ConnectionAuth:
    auth = ConnectionAuth("192.0.2.1", "trace", Quotas(SftpLimits()))
    auth.key = SshKey.objects.create(supplier=supplier, fingerprint="SHA256:x")
    auth.log_in()
    return auth


@pytest.mark.django_db(transaction=True)
def test_a_session_is_recorded_on_a_machine_that_has_just_started(
    alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    uptime = SimpleNamespace(monotonic=lambda: 2.0)
    monkeypatch.setattr("exports.sftp.session_log.time", uptime)
    with SessionLog(logged_in(alice)) as session_log:
        session_log.update()
        assert SftpSession.objects.filter(ended_at__isnull=True).count() == 1


@pytest.mark.django_db(transaction=True)  # the session log closes its connection after each write
def test_a_session_continues_and_is_recorded_later_if_the_database_fails(
    alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError

    with SessionLog(logged_in(alice)) as session_log:
        with monkeypatch.context() as broken:
            broken.setattr(SftpSession, "save", fail)
            session_log.update()
        assert not SftpSession.objects.exists()
        monkeypatch.setattr("exports.sftp.session_log.RENEW_INTERVAL", timedelta(0))
        session_log.update()
        assert SftpSession.objects.filter(ended_at__isnull=True).count() == 1
    assert SftpSession.objects.filter(ended_at__isnull=False).count() == 1
