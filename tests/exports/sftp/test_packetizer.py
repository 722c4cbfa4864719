"""The SFTP server sends a read of a file in several packets at once, even while keys are exchanged."""

from __future__ import annotations

import hashlib
import random
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from paramiko.common import MSG_CHANNEL_DATA, MSG_IGNORE
from paramiko.packet import Packetizer
from paramiko.sftp import CMD_READ, int64

from exports.models import FileRequest, SshKey
from exports.sftp import packetizer, transport
from exports.sftp.packetizer import MAX_PACKETS, ChannelData, ServerPacketizer, data_buffer
from exports.sftp.session import MAX_READ_BYTES
from exports.ssh_transport import StrongTransport
from tests.exports.conftest import Connect
from tests.suppliers import file_path, write_private_key

KEY, IV = bytes(range(16)), bytes(range(12))
CONTENT = random.Random(0).randbytes(MAX_READ_BYTES)


@pytest.fixture
def ends() -> Iterator[tuple[ServerPacketizer, Packetizer]]:
    """The server's packetizer, and one of paramiko that reads what it sends, with AES-GCM."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # The whole answer fits into the socket, so one thread can write it and then read it.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        writer, reader = ServerPacketizer(ours), Packetizer(theirs)
        # AES-GCM contains the MAC. The type stubs of paramiko do not know this kind of cipher.
        engine, unused_mac = cast("Any", AESGCM(KEY)), cast("Any", None)
        writer.set_outbound_cipher(engine, 16, unused_mac, 16, b"", aead=True, iv_out=IV)
        reader.set_inbound_cipher(engine, 16, unused_mac, 16, b"", aead=True, iv_in=IV)
        yield writer, reader


def received(reader: Packetizer) -> tuple[int, bytes]:
    """Return the channel and the bytes of the next message, which must be data."""
    kind, message = reader.read_message()
    assert kind == MSG_CHANNEL_DATA
    return message.get_int(), message.get_binary()


@pytest.mark.parametrize("sizes", [[1], [32_704] * 3 + [5], [*range(1, 40)], [7, 100_000, 9]])
def test_data_arrives_in_order_as_packets_of_the_given_sizes(
    ends: tuple[ServerPacketizer, Packetizer], sizes: list[int]
) -> None:
    writer, reader = ends
    start, end = 3, 3 + sum(sizes)
    with data_buffer() as buffer:
        buffer.data[: len(CONTENT)] = CONTENT
        writer.send_message(ChannelData(5, buffer, start, sizes))
        # The rest of a buffer is sent later, so nothing after these bytes may change.
        assert buffer.data[end : len(CONTENT)] == CONTENT[end:]
    packets = [received(reader) for _ in sizes]
    assert [(channel, len(data)) for channel, data in packets] == [(5, size) for size in sizes]
    assert b"".join(data for _, data in packets) == CONTENT[start:end]
    # Messages of paramiko continue with the same counters.
    message = paramiko.Message()
    message.add_byte(bytes([MSG_IGNORE]))
    writer.send_message(message)
    kind, last = reader.read_message()
    assert (kind, last.seqno) == (MSG_IGNORE, len(sizes))


def test_new_keys_are_requested_after_much_data(
    ends: tuple[ServerPacketizer, Packetizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, _ = ends
    monkeypatch.setattr(writer, "REKEY_BYTES", 2500)
    with data_buffer() as buffer:
        writer.send_message(ChannelData(0, buffer, 0, [1000]))
        assert not writer.need_rekey()
        writer.send_message(ChannelData(0, buffer, 0, [1000, 1000]))
        assert writer.need_rekey()


def test_packets_that_arrived_together_are_read_at_once() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader, writer = ServerPacketizer(ours), Packetizer(theirs)
        message = paramiko.Message()
        message.add_byte(bytes([MSG_IGNORE]))
        for _ in range(3):
            writer.send_message(message)
        assert reader.read_message()[0] == MSG_IGNORE
        ours.settimeout(0)
        with pytest.raises(BlockingIOError):
            ours.recv(1)
        # They count as received, although the socket has nothing more.
        assert reader.wait_until_received(0)
        for _ in range(2):
            assert reader.read_message()[0] == MSG_IGNORE
        assert not reader.wait_until_received(0)


def test_buffers_are_used_again_but_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packetizer, "_spare_buffers", [])
    monkeypatch.setattr(packetizer, "_MAX_SPARE_BUFFERS", 1)
    with data_buffer() as first, data_buffer() as second:
        assert first is not second
    with data_buffer() as again:
        assert again is second
    assert len(packetizer._spare_buffers) == 1


@pytest.fixture
def large(completed: FileRequest) -> FileRequest:
    """A completed request with a file of 255 KiB."""
    file_path(completed.location).write_bytes(CONTENT)
    completed.size, completed.sha256 = len(CONTENT), hashlib.sha256(CONTENT).hexdigest()
    completed.save()
    return completed


@pytest.mark.parametrize("cipher", StrongTransport._preferred_ciphers)
def test_each_cipher_delivers_a_read_to_a_client_with_small_packets(
    connect: Connect, large: FileRequest, monkeypatch: pytest.MonkeyPatch, cipher: str
) -> None:
    monkeypatch.setattr(paramiko.Transport, "_preferred_ciphers", (cipher,))
    with connect() as client:
        assert cast("Any", client).remote_cipher == cipher
        channel = client.open_session(window_size=50_000, max_packet_size=4096)
        channel.invoke_subsystem("sftp")
        assert len(CONTENT) > MAX_PACKETS * 4096 - 64 * MAX_PACKETS
        with paramiko.SFTPClient(channel) as sftp, sftp.open(large.location) as file:
            request = cast("Any", sftp)._request
            _, answer = request(CMD_READ, file.handle, int64(0), MAX_READ_BYTES)
            assert answer.get_binary() == CONTENT


@pytest.fixture
def openssh(
    sftp_port: int, alices_key: tuple[SshKey, paramiko.PKey], tmp_path: Path
) -> Callable[..., str]:
    """Fetch a file as Alice with OpenSSH's ``sftp``, and return what it reports about the connection."""
    key = write_private_key("alice", tmp_path)
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=DEBUG"]

    def fetch(location: str, *more_options: str) -> str:
        words = [word for option in (*options, *more_options) for word in ("-o", option)]
        return subprocess.run(
            [*["sftp", "-i", str(key), "-P", str(sftp_port)], *words, f"alice@127.0.0.1:{location}", "fetched"],
            capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True,
        ).stderr  # fmt: skip

    return fetch


@pytest.mark.parametrize("options", [(), ("Ciphers=aes256-ctr,aes256-gcm@openssh.com",)])
def test_openssh_uses_aes_gcm_if_it_knows_it(
    openssh: Callable[..., str], completed: FileRequest, options: tuple[str, ...]
) -> None:
    report = openssh(completed.location, *options)
    ciphers = [
        line.split("cipher: ")[1]
        for line in report.splitlines()
        if "kex: " in line and "cipher: " in line
    ]
    assert len(ciphers) == 2
    assert all(cipher.split()[0].endswith("-gcm@openssh.com") for cipher in ciphers)


def test_a_client_that_waits_for_the_servers_algorithms_gets_all_ciphers(
    sftp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CLIENT_FIRST_SECONDS", 0.01)
    with socket.create_connection(("127.0.0.1", sftp_port), timeout=30) as client:
        client.sendall(b"SSH-2.0-OpenSSH_8.2\r\n")
        answer = b""
        while b"hmac-sha2" not in answer:
            received = client.recv(4096)
            assert received, answer
            answer += received
    assert ",".join(StrongTransport._preferred_ciphers).encode() in answer


def test_keys_are_exchanged_during_a_download(
    openssh: Callable[..., str],
    large: FileRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ServerPacketizer, "REKEY_BYTES", 100_000)
    report = openssh(large.location)
    assert (tmp_path / "fetched").read_bytes() == CONTENT
    assert report.count("SSH2_MSG_NEWKEYS received") > 1
