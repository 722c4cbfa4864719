"""Who is connected is written down, from the login to the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import paramiko
import pytest
from django.db import OperationalError
from django.utils import timezone

from exports.models import FileRequest, SftpSession, Supplier
from exports.sftp.authentication import Doorkeeper, Visitor
from exports.sftp.session_log import Attendance
from headend.portal.deliveries import connected
from tests.exports.delivery.conftest import Connect

PATIENCE_SECONDS = 30


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_session_is_noted_while_it_lasts_and_when_it_ends(
    connect: Connect, completed: FileRequest
) -> None:
    with connect() as transport, transport.open_sftp_client() as sftp:
        wait_until(SftpSession.objects.exists)
        [session] = connected(timezone.now())
        assert (session.supplier, session.peer) == (completed.supplier, "127.0.0.1")
        assert session.who.startswith("SHA256:")
        with sftp.open(completed.location) as file:
            sent = len(file.read())
    wait_until(SftpSession.objects.filter(ended_at__isnull=False).exists)
    session.refresh_from_db()
    assert session.bytes_sent == sent == completed.size
    assert not connected(timezone.now()).exists()


def test_a_session_shorter_than_a_look_is_noted_all_the_same(connect: Connect) -> None:
    with connect() as transport, transport.open_sftp_client() as sftp:
        sftp.listdir("/")
    wait_until(SftpSession.objects.filter(ended_at__isnull=False).exists)
    assert SftpSession.objects.count() == 1


def test_who_does_not_get_in_leaves_no_session(sftp_port: int, alice: Supplier) -> None:
    stranger = paramiko.RSAKey.generate(2048)
    with (
        paramiko.Transport(("127.0.0.1", sftp_port)) as transport,
        pytest.raises(paramiko.AuthenticationException),
    ):
        transport.connect(username="alice", pkey=stranger)
    time.sleep(1)
    assert not SftpSession.objects.exists()


def logged_in(supplier: Supplier) -> Doorkeeper:
    doorkeeper = Doorkeeper("192.0.2.1", "trace")
    doorkeeper.visitor = Visitor(supplier.pk, supplier.name, "SHA256:x", "192.0.2.1")
    doorkeeper.session_began()
    return doorkeeper


@pytest.mark.django_db(transaction=True)
def test_a_session_is_noted_on_a_machine_that_has_just_started(
    alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    uptime = SimpleNamespace(monotonic=lambda: 2.0)
    monkeypatch.setattr("exports.sftp.session_log.time", uptime)
    with Attendance(logged_in(alice)) as attendance:
        attendance.look()
        assert SftpSession.objects.filter(ended_at__isnull=True).count() == 1


@pytest.mark.django_db(transaction=True)  # attendance closes its connection after each look
def test_a_database_that_fails_costs_the_row_and_not_the_session(
    alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError

    with Attendance(logged_in(alice)) as attendance:
        with monkeypatch.context() as broken:
            broken.setattr(SftpSession, "save", fail)
            attendance.look()
        assert not SftpSession.objects.exists()
        monkeypatch.setattr("exports.sftp.session_log.RENEWED_EVERY", timedelta(0))
        attendance.look()
        assert SftpSession.objects.filter(ended_at__isnull=True).count() == 1
    assert SftpSession.objects.filter(ended_at__isnull=False).count() == 1
