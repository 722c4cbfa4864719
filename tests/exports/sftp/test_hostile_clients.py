"""A client that sends wrong data loses only its own connection. The server needs little memory and time for it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import paramiko
import pytest
from paramiko.auth_handler import AuthHandler
from paramiko.common import (
    MSG_USERAUTH_INFO_RESPONSE,
    cMSG_CHANNEL_DATA,
    cMSG_CHANNEL_EXTENDED_DATA,
    cMSG_USERAUTH_REQUEST,
)
from paramiko.sftp import (
    CMD_EXTENDED,
    CMD_HANDLE,
    CMD_OPEN,
    CMD_SETSTAT,
    int64,
)

from exports.models import FileRequest, SshKey, Supplier
from exports.sftp import login, server, transport
from exports.sftp.protocol import MAX_SFTP_PACKET_BYTES
from exports.ssh_transport import BoundedPacketizer, StrongTransport
from headend.config.sftp_limits import SftpLimits
from tests.exports.conftest import Connect, running_sftp_server

Key = tuple[SshKey, paramiko.PKey]
MANY = 2**32 - 1
MSG_EXT_INFO = 7


@contextmanager
def logged_in(port: int, key: Key) -> Iterator[paramiko.Transport]:
    with paramiko.Transport(("127.0.0.1", port)) as client:
        client.connect(username=key[0].supplier.name, pkey=key[1])
        yield client


@contextmanager
def raw(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        assert client.recv(100).startswith(b"SSH-2.0-headend")
        yield client


def assert_closes(client: socket.socket) -> None:
    """Read what the server still sends, and assert that it closes the connection."""
    try:
        while client.recv(4096):
            pass
    except ConnectionResetError:
        pass


def assert_ends(client: paramiko.Transport) -> None:
    client.join(10)
    assert not client.is_active()


def eventually(attempt: Callable[[], None]) -> None:
    """Repeat what the server refuses until it has noticed that another connection or channel has ended."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return attempt()
        except paramiko.SSHException:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def send_message(client: paramiko.Transport, *parts: bytes | int | str) -> None:
    """Send one SSH message. paramiko's client has no public method for any message."""
    message = paramiko.Message()
    for part in parts:
        if isinstance(part, int):
            message.add_int(part)
        elif isinstance(part, str):
            message.add_string(part)
        else:
            message.add_bytes(part)
    cast("Any", client)._send_message(message)


class _Endless:
    """A socket that always has data, and counts the bytes that were requested at once."""

    def __init__(self, start: bytes = b"") -> None:
        self.start, self.most, self.received = start, 0, 0

    def recv(self, count: int) -> bytes:
        self.most = max(self.most, count)
        data = self.start[:count] or b"x" * count
        self.start = self.start[count:]
        self.received += len(data)
        return data


@pytest.mark.parametrize("size", [256 * 1024 + 100, 1_000_000, 2**31, MANY])
def test_a_packet_that_is_announced_too_long_is_refused_before_it_is_read(size: int) -> None:
    endless = _Endless(struct.pack(">I", size - size % 8 + 4) + b"\0" * 4)
    packetizer = BoundedPacketizer(cast("socket.socket", endless))
    with pytest.raises(paramiko.SSHException, match="longer than 262144 bytes"):
        packetizer.read_message()
    assert endless.most == 8


def test_a_version_line_without_an_end_is_refused() -> None:
    endless = _Endless()
    with pytest.raises(paramiko.SSHException, match="No version line"):
        BoundedPacketizer(cast("socket.socket", endless)).readline(10)
    assert endless.received < 40_000


@pytest.mark.parametrize(
    "sent",
    [b"x" * 100_000, b"SSH-2.0-x\r\n\x7f\xff\xff\xfc" + b"\0" * 100, b"SSH-2.0-x\r\n" + b"\0" * 64],
    ids=["no version line", "long packet", "empty packet"],
)
def test_input_that_is_not_ssh_closes_the_connection_at_once(sftp_port: int, sent: bytes) -> None:
    with raw(sftp_port) as client:
        try:
            client.sendall(sent)
        except OSError:
            return
        assert_closes(client)


def test_a_client_that_sends_its_version_slowly_is_disconnected_after_the_time_to_log_in(
    sftp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LOGIN_TIMEOUT", 0.3)
    with raw(sftp_port) as client:
        for _ in range(200):
            try:
                client.sendall(b"S")
            except OSError:
                return
            time.sleep(0.05)
    pytest.fail("The connection is still open.")


def test_messages_that_announce_billions_of_parts_are_not_read_part_by_part(
    sftp_port: int, alice: Supplier
) -> None:
    with paramiko.Transport(("127.0.0.1", sftp_port)) as client:
        client.start_client(timeout=10)
        send_message(client, bytes([MSG_USERAUTH_INFO_RESPONSE]), MANY)
        # The connection still answers.
        with pytest.raises(paramiko.BadAuthenticationType):
            client.auth_none("alice")
        send_message(client, bytes([MSG_EXT_INFO]), MANY)
        assert_ends(client)
    message = paramiko.Message(struct.pack(">I", 17))
    with pytest.raises(paramiko.SSHException, match="extensions"):
        cast("Any", StrongTransport)._parse_ext_info(None, message)


def test_a_key_of_an_unknown_type_is_refused_and_the_next_one_is_accepted(
    sftp_port: int, alices_key: Key
) -> None:
    certificate = "ssh-rsa-cert-v01@openssh.com"
    with paramiko.Transport(("127.0.0.1", sftp_port)) as client:
        client.start_client(timeout=10)
        client.auth_handler = handler = AuthHandler(client)
        for kind in ("sk-ssh-ed25519@openssh.com", "ssh-ed25519", certificate, "x" * 1000):
            handler.auth_event = refused = threading.Event()
            request = (cMSG_USERAUTH_REQUEST, "alice", "ssh-connection", "publickey", b"\0")
            send_message(client, *request, kind, "damaged")
            assert refused.wait(10)
            assert client.is_active()
        client.auth_publickey("alice", alices_key[1])
        assert client.is_authenticated()


def test_the_number_of_login_messages_is_limited(sftp_port: int, alices_key: Key) -> None:
    blob = alices_key[1].asbytes()
    with paramiko.Transport(("127.0.0.1", sftp_port)) as client:
        client.start_client(timeout=10)
        # Each request asks whether a valid key would be accepted, which paramiko does not count as a failed login.
        question = (cMSG_USERAUTH_REQUEST, "alice", "ssh-connection", "publickey", b"\0")
        with suppress(EOFError, OSError):
            for _ in range(login.MAX_LOGIN_REQUESTS + 1):
                send_message(client, *question, "rsa-sha2-256", struct.pack(">I", len(blob)) + blob)
        assert_ends(client)


@pytest.mark.parametrize("kind", ["shell", "exec", "pty-req", "env", "x11-req", "xon-xoff"])
def test_a_channel_accepts_no_request_but_sftp(connect: Connect, kind: str) -> None:
    with connect() as client:
        channel = cast("Any", client.open_session())
        channel._event_pending()
        send_message(client, b"\x62", channel.remote_chanid, kind, b"\1", "x", "y")
        with pytest.raises(paramiko.SSHException):
            channel._wait_for_event()


def test_global_requests_and_tunnels_are_refused(connect: Connect) -> None:
    with connect() as client:
        for kind in ("tcpip-forward", "cancel-tcpip-forward", "keepalive@openssh.com"):
            assert client.global_request(kind, [""], wait=True) is None
        for kind in ("direct-tcpip", "x11", "auth-agent@openssh.com", "forwarded-tcpip"):
            with pytest.raises(paramiko.ChannelException):
                client.open_channel(kind, ("127.0.0.1", 1), ("127.0.0.1", 1))


def send_sftp(sftp: Any, kind: int, *values: object) -> tuple[int, paramiko.Message]:
    answer: tuple[int, paramiko.Message] = sftp._request(kind, *values)
    return answer


def test_attributes_that_announce_billions_of_parts_are_not_read(
    connect: Connect, completed: FileRequest
) -> None:
    class Endless(paramiko.SFTPAttributes):
        def _pack(self, message: paramiko.Message) -> None:
            message.add_int(0x80000000)
            message.add_int(MANY)

    started = time.process_time()
    with connect() as client, client.open_sftp_client() as sftp:
        kind, _ = send_sftp(sftp, CMD_OPEN, completed.location, 1, Endless())
        assert kind == CMD_HANDLE
        with pytest.raises(PermissionError):
            send_sftp(sftp, CMD_SETSTAT, completed.location, Endless())
    assert time.process_time() - started < 5


def test_check_file_is_neither_announced_nor_answered(
    connect: Connect, completed: FileRequest
) -> None:
    with connect() as client:
        channel = client.open_session()
        channel.invoke_subsystem("sftp")
        channel.sendall(struct.pack(">IBI", 5, 1, 3))
        version = channel.recv(1000)
        assert b"statvfs@openssh.com" in version
        assert b"check-file" not in version
        with client.open_sftp_client() as sftp:
            _, reply = send_sftp(sftp, CMD_OPEN, completed.location, 1, paramiko.SFTPAttributes())
            beyond = (reply.get_string(), "md5", int64(10**9), int64(10**9), 0)
            with pytest.raises(OSError, match="unsupported"):
                send_sftp(sftp, CMD_EXTENDED, "check-file", *beyond)
            assert sftp.listdir("/") == [str(completed.pk)]


def test_a_long_sftp_packet_ends_the_session_before_it_is_read(connect: Connect) -> None:
    with connect() as client:
        channel = client.open_session()
        channel.invoke_subsystem("sftp")
        channel.sendall(struct.pack(">IB", MAX_SFTP_PACKET_BYTES + 1, 1))
        channel.settimeout(10)
        assert channel.recv(100) == b""


@pytest.mark.parametrize("kind", [cMSG_CHANNEL_DATA, cMSG_CHANNEL_EXTENDED_DATA])
def test_a_client_that_ignores_the_window_is_disconnected(connect: Connect, kind: bytes) -> None:
    with connect() as client:
        channel = client.open_session()  # no session reads from it
        code = [1] if kind == cMSG_CHANNEL_EXTENDED_DATA else []
        with suppress(EOFError, OSError):
            for _ in range(transport.WINDOW_BYTES // 32_000 + 2):
                send_message(client, kind, channel.remote_chanid, *code, "x" * 32_000)
        assert_ends(client)


def test_a_client_that_exchanges_keys_without_end_is_disconnected(connect: Connect) -> None:
    with connect() as client:
        for _ in range(transport.FREE_REKEYS):
            client.renegotiate_keys()
        with pytest.raises((paramiko.SSHException, EOFError)):
            client.renegotiate_keys()


def test_a_client_that_completes_no_exchange_of_keys_is_disconnected(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect() as client:
        cast("Any", client)._handler_table[20] = lambda message: None  # KEXINIT
        monkeypatch.setattr(transport, "REKEY_TIMEOUT", 0.1)
        monkeypatch.setattr(transport, "REKEY_SECONDS", 0)
        assert_ends(client)


def test_downloads_continue_while_keys_are_exchanged(
    connect: Connect, completed: FileRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "REKEY_SECONDS", 0)
    with connect() as client, client.open_sftp_client() as sftp:
        session_id = client.session_id
        with sftp.open(completed.location) as file:
            first = file.read(10)
            exchanged = client.H
            deadline = time.monotonic() + 10
            while exchanged == client.H:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert len(first + file.read()) == completed.size
        assert client.session_id == session_id


def test_an_idle_connection_is_closed(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect() as client:
        monkeypatch.setattr(server, "IDLE_TIMEOUT", 0.1)
        assert_ends(client)


def test_silent_strangers_do_not_keep_a_supplier_out(
    transactional_db: None, starts_processes: None, alices_key: Key
) -> None:
    limits = SftpLimits(connections=10, connections_without_login=5)
    with running_sftp_server(limits=limits) as port:
        strangers = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]

        def list_home() -> None:
            with logged_in(port, alices_key) as client, client.open_sftp_client() as sftp:
                assert sftp.listdir("/") == []

        # While the threads of the strangers that were cut still end, a connection may be refused.
        eventually(list_home)
        for stranger in strangers:
            stranger.close()


def test_idle_connections_of_one_supplier_do_not_keep_another_out(
    transactional_db: None, starts_processes: None, alices_key: Key, bob: Supplier
) -> None:
    stored, private = alices_key
    bobs_key = SshKey.objects.create(
        supplier=bob, public_key=stored.public_key, fingerprint=stored.fingerprint
    )
    limits = SftpLimits(connections_per_supplier=2)
    with (
        running_sftp_server(limits=limits) as port,
        logged_in(port, alices_key),
        logged_in(port, alices_key) as second,
    ):
        with (
            pytest.raises(paramiko.SSHException),
            logged_in(port, alices_key),
        ):
            pass
        with logged_in(port, (bobs_key, private)) as client:
            assert client.is_authenticated()
        second.close()
        eventually(lambda: logged_in(port, alices_key).__enter__().close())


def test_sessions_and_handles_of_one_supplier_are_limited_over_all_connections(
    transactional_db: None, starts_processes: None, alices_key: Key, completed: FileRequest
) -> None:
    limits = SftpLimits(sessions_per_supplier=3, handles_per_supplier=2)
    with (
        running_sftp_server(limits=limits) as port,
        logged_in(port, alices_key) as one,
        logged_in(port, alices_key) as other,
    ):
        first, second = one.open_sftp_client(), other.open_sftp_client()
        channel = one.open_session()  # counts although it starts nothing
        with pytest.raises(paramiko.ChannelException, match="Resource shortage"):
            other.open_session()
        channel.close()
        # The server may get the next request, over the other connection, first.
        eventually(lambda: other.open_session().close())

        files = [first.open(completed.location), second.open(completed.location)]
        for open_more in (lambda: first.open(completed.location), lambda: second.listdir("/")):
            with pytest.raises(OSError, match="too many open handles"):
                open_more()
        files[0].close()
        with second.open(completed.location) as file:
            assert file.read(3) == b"\x1f\x8b\x08"
        second.close()
        assert first.listdir("/") == [str(completed.pk)]


def test_one_channel_starts_one_session(connect: Connect) -> None:
    with connect() as client:
        channel = client.open_session()
        channel.invoke_subsystem("sftp")
        with pytest.raises(paramiko.SSHException):
            channel.invoke_subsystem("sftp")
