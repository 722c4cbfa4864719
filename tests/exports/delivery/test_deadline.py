"""A supplier's server that answers byte by byte, or not at all, holds a worker only until the call's deadline."""

from __future__ import annotations

import socket
import struct
import threading
import time
from typing import Any

import paramiko
import pytest
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from pytest_django.fixtures import Settings

from exports.delivery import addresses, push, push_connection, webhook
from exports.delivery.addresses import AddressNotAllowedError, checked_address
from exports.delivery.push_error import PushError
from exports.models import PushTarget, Supplier, Webhook
from headend.config.deadline import Deadline, open_connection
from tests.dripping import MUCH_LONGER, Server, drip, running, soon
from tests.suppliers import PUBLIC_KEY

SECONDS = 0.5


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("scheme", "server"),
    [
        ("http", drip(b"HTTP/1.1 200 OK\r\n", b"x: 1\r\n")),
        ("http", drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
        ("https", drip(b"\x16\x03\x03\x40\x00", b"\x02")),
    ],
    ids=["its headers", "its interim answers", "its handshake"],
)
def test_a_webhook_receiver_that_answers_byte_by_byte_is_cut(
    scheme: str,
    server: Server,
    alice: Supplier,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
    monkeypatch.setattr(webhook, "CALL_TIMEOUT", SECONDS)
    with running(server) as port, soon():
        target = Webhook.objects.create(supplier=alice, url=f"{scheme}://127.0.0.1:{port}/")
        with pytest.raises(webhook.WebhookError, match=r"did not answer within 0\.5 s"):
            webhook.send_test(target)


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    "server",
    [drip(b"", b"a line before the version\r\n"), drip(b"SSH-2.0-x\r\n\x00\x00\x80\x04", b"\0")],
    ids=["its version", "its key exchange"],
)
def test_a_server_for_pushes_that_drips_before_the_login(
    server: Server, alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_connection, "LOGIN_TIMEOUT", SECONDS)
    with running(server) as port, soon():
        target = PushTarget(supplier=alice, host="127.0.0.1", port=port, user="u")
        target.host_key = PUBLIC_KEY
        with pytest.raises(PushError, match=r"The login took longer than 0\.5 s"):
            push.test_connection(target)


class AnyLogin(paramiko.ServerInterface):
    """Accepts every key, a session, and SFTP in it."""

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        return True


def sftp_server(key: paramiko.PKey, *, drips: bool = False, window: int | None = None) -> Server:
    """Return a server that starts SFTP, and then sends its first answer byte by byte, or nothing at all.

    It accepts ``window`` bytes from the client, and no more.
    """

    def serve(connection: socket.socket) -> None:
        with paramiko.Transport(connection) as transport:
            if window is not None:
                transport.default_window_size = window
            transport.add_server_key(key)
            transport.start_server(server=AnyLogin())
            channel = transport.accept(MUCH_LONGER)
            assert channel is not None
            channel.sendall(struct.pack(">IBI", 5, 2, 3))
            if drips:
                channel.sendall(struct.pack(">I", 60_000))
            while transport.is_active():
                time.sleep(0.02)
                if drips:
                    channel.sendall(b"x")

    return serve


@pytest.mark.starts_processes
@pytest.mark.parametrize("drips", [True, False])
@pytest.mark.parametrize("limit", ["ANSWER_TIMEOUT", "TEST_SECONDS"])
def test_a_server_for_pushes_that_never_completes_an_answer(
    drips: bool, limit: str, alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = paramiko.ECDSAKey.generate()
    if limit == "ANSWER_TIMEOUT":
        monkeypatch.setattr(push_connection, "ANSWER_TIMEOUT", SECONDS)
    else:
        monkeypatch.setattr(push, "TEST_SECONDS", 1.5)
    with running(sftp_server(key, drips=drips)) as port, soon():
        target = PushTarget(supplier=alice, host="127.0.0.1", port=port, user="u")
        target.host_key = f"{key.get_name()} {key.get_base64()}"
        with pytest.raises(PushError, match=r"within 0\.5 s|longer than 2 s"):
            push.test_connection(target)


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    ("window", "reason"),
    [(0, r"The login took longer than 0\.5 s"), (9, r"did not answer within 0\.5 s")],
    ids=["from the beginning", "after the first packet"],
)
def test_a_server_for_pushes_that_accepts_no_more_data(
    window: int, reason: str, alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = paramiko.ECDSAKey.generate()
    limit = "ANSWER_TIMEOUT" if window else "LOGIN_TIMEOUT"
    monkeypatch.setattr(push_connection, limit, SECONDS)
    with running(sftp_server(key, window=window)) as port, soon():
        target = PushTarget(supplier=alice, host="127.0.0.1", port=port, user="u")
        target.host_key = f"{key.get_name()} {key.get_base64()}"
        with pytest.raises(PushError, match=reason):
            push.test_connection(target)


def test_the_resolution_of_a_name_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def resolve_slowly(*_: Any, **__: Any) -> Any:
        answered.wait(MUCH_LONGER)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve_slowly)
    monkeypatch.setattr(addresses, "RESOLVE_TIMEOUT", 0.05)
    with soon(), pytest.raises(AddressNotAllowedError, match="no name server has answered"):
        checked_address("slow.example", 443, allow_private=False)
    late = Deadline(0.05, "too late")
    with soon(), late, pytest.raises(TimeoutError):
        open_connection("slow.example", 22, late)
    answered.set()


def test_progress_moves_a_deadline_but_not_beyond_its_limit() -> None:
    deadline = Deadline(1, "the login was too slow")
    deadline.restart(60, "the answer was too slow")
    assert deadline.message == "the answer was too slow"
    assert 50 < deadline.remaining <= 60
    deadline.limit(30, "the whole call was too slow")
    deadline.restart(60, "the answer was too slow")
    assert deadline.message == "the whole call was too slow"
    assert 20 < deadline.remaining <= 30
    deadline.restart(5, "the answer was too slow")
    assert deadline.message == "the answer was too slow"
    assert deadline.remaining <= 5
