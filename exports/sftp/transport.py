"""The server's end of an SSH connection: it answers what SFTP needs, refuses everything else, and has limits."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import paramiko
from paramiko.channel import Channel
from paramiko.common import (
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_REQUEST,
    cMSG_CHANNEL_FAILURE,
    cMSG_CHANNEL_SUCCESS,
    cMSG_REQUEST_FAILURE,
)

from exports.sftp.authentication import ConnectionAuth
from exports.sftp.host_key_announcement import PROOF_REQUEST, announcement, proof
from exports.sftp.login import LoginHandler
from exports.sftp.packetizer import MAX_PACKETS, ChannelData, DataBuffer, ServerPacketizer
from exports.ssh_transport import PARAMIKO_TRANSPORT, StrongTransport

WINDOW_BYTES = 256 * 1024
"""The most bytes that a client may send before the session has read them. Requests for reads have 40 bytes."""
REKEY_SECONDS = 3600
"""New keys are exchanged after this time; paramiko also exchanges them after 512 MiB."""
REKEY_TIMEOUT = 30
"""Seconds until an exchange of new keys must be complete."""
FREE_REKEYS = 10
REKEY_BYTES = 1024 * 1024
"""A client may exchange keys :data:`FREE_REKEYS` times, and once more for each minute and these bytes."""
CLIENT_FIRST_SECONDS = 0.5
"""How long the server waits for the algorithms of an OpenSSH client before it sends its own."""

if TYPE_CHECKING:

    class _StrongTransport(StrongTransport):
        """paramiko's class with the methods that its type stubs do not contain."""

        def _parse_newkeys(self, m: paramiko.Message) -> None: ...
        def _send_kex_init(self) -> None: ...
        def _negotiate_keys(self, m: paramiko.Message) -> None: ...
        def _really_parse_kex_init(self, m: paramiko.Message) -> dict[str, list[str]]: ...
        def _send_message(self, data: paramiko.Message) -> None: ...
        def _send_user_message(self, data: paramiko.Message | ChannelData) -> None: ...
        def _unlink_channel(self, chanid: int) -> None: ...

        session_id: bytes
        host_key_type: str
else:
    _StrongTransport = StrongTransport


class ServerTransport(_StrongTransport):
    """One client's SSH connection.

    Only channels of type *session* exist, and the only request of a channel is the subsystem ``sftp``.
    """

    # Pushes also use other algorithms of StrongTransport. ssh-audit warns of these: MACs that are not encrypt-then-MAC,
    # and finite-field Diffie-Hellman, with which clients without a login can make the server compute a lot.
    _preferred_kex = tuple(
        name for name in StrongTransport._preferred_kex if not name.startswith("diffie-hellman")
    )
    _preferred_macs = tuple(name for name in StrongTransport._preferred_macs if "-etm@" in name)
    _packetizer_class = ServerPacketizer
    packetizer: ServerPacketizer
    _channel_handler_table: ClassVar[dict[int, Callable[[Channel, paramiko.Message], None]]]

    def __init__(self, sock: socket.socket, auth: ConnectionAuth) -> None:
        super().__init__(sock, default_window_size=WINDOW_BYTES)
        self.auth = auth
        # paramiko itself keeps every channel in a list that grows until somebody accepts the channels.
        self._open_channels: dict[int, Channel] = {}
        self._started_at = self._keys_changed_at = time.monotonic()
        self._rekey_began_at: float | None = None
        self._rekeys = 0
        self.announced_keys: list[paramiko.PKey] = []
        """All host keys, the next ones included. Empty if no rotation of the host keys has begun."""

    def is_rekeying_too_long(self) -> bool:
        """Return whether the client does not complete an exchange of keys. Start one if the keys are old."""
        now, began_at = time.monotonic(), self._rekey_began_at
        if began_at is not None:
            return now - began_at > REKEY_TIMEOUT
        if now - self._keys_changed_at > REKEY_SECONDS:
            self.packetizer._trigger_rekey()
        return False

    def wait_until_ended(self, seconds: float | None) -> bool:
        """Wait until the thread of this closed transport has ended: after that, no login and no session begins.

        Return false if it still runs after ``seconds``. None waits without a limit.
        """
        if self.is_alive():
            self.join(seconds)
        return not self.is_alive()

    def send_data(self, channel: Channel, buffer: DataBuffer, length: int) -> None:
        """Send the first ``length`` bytes of a buffer to a session, as many at once as the client accepts.

        Blocks until everything is sent. Raises ``OSError`` or ``EOFError`` if the channel or the connection is closed.
        """
        start = 0
        while start < length:
            sizes = _take_window(channel, length - start)
            self._send_user_message(ChannelData(channel.remote_chanid, buffer, start, sizes))
            start += sum(sizes)

    def _send_kex_init(self) -> None:
        """Send the names of the server's algorithms, if possible after those of the client."""
        if self._rekey_began_at is None:
            self._rekey_began_at = time.monotonic()
            if self._client_sends_first():
                # paramiko calls this method again when it has read the client's algorithms.
                return
        super()._send_kex_init()

    def _client_sends_first(self) -> bool:
        """Wait for the first algorithms of an OpenSSH client. Return whether something has arrived."""
        if self.initial_kex_done or not self.remote_version.startswith("SSH-2.0-OpenSSH"):
            return False
        return self.packetizer.wait_until_received(CLIENT_FIRST_SECONDS)

    def _negotiate_keys(self, m: paramiko.Message) -> None:
        if self.initial_kex_done and self.local_kex_init is None:
            self._count_rekey()
        if self.local_kex_init is None:
            self._prefer_gcm(m)
        super()._negotiate_keys(m)

    def _prefer_gcm(self, client_algorithms: paramiko.Message) -> None:
        """Offer only AES-GCM if the client knows it: of several common ciphers, SSH uses the client's favourite."""
        names = self._really_parse_kex_init(client_algorithms)
        client_algorithms.rewind()
        gcm = tuple(name for name in StrongTransport._preferred_ciphers if "-gcm@" in name)
        both_ways = (names["client_encrypt_algo_list"], names["server_encrypt_algo_list"])
        if all(set(gcm).intersection(ciphers) for ciphers in both_ways):
            self._preferred_ciphers = gcm

    def _count_rekey(self) -> None:
        """Raise ``SSHException`` if the client exchanges keys more often than any client needs."""
        self._rekeys += 1
        minutes = int(time.monotonic() - self._started_at) // 60
        if self._rekeys > FREE_REKEYS + minutes + self.auth.bytes_sent // REKEY_BYTES:
            raise paramiko.SSHException("The client exchanges keys too often.")

    def _parse_newkeys(self, m: paramiko.Message) -> None:
        if self.auth_handler is None:
            self.auth_handler = LoginHandler(self, self.auth)
        super()._parse_newkeys(m)
        self._rekey_began_at = None
        self._keys_changed_at = time.monotonic()

    def announce_host_keys(self) -> None:
        """Tell an OpenSSH client the keys of :attr:`announced_keys`, so that it can add them to its known_hosts."""
        if self.announced_keys and self.remote_version.startswith("SSH-2.0-OpenSSH"):
            self._send_message(announcement(self.announced_keys))

    def _parse_global_request(self, m: paramiko.Message) -> None:
        """Prove the announced host keys, once. Refuse port forwarding and everything else.

        Clients also ask for unknown things to keep a connection alive.
        """
        kind, wants_answer = m.get_string(), m.get_boolean()
        answer = None
        if kind == PROOF_REQUEST and self.auth.is_logged_in:
            # A signature takes some milliseconds, so a client gets each of them once.
            keys, self.announced_keys = self.announced_keys, []
            answer = proof(keys, m, self.session_id, self.host_key_type)
        if wants_answer:
            if answer is None:
                answer = paramiko.Message()
                answer.add_byte(cMSG_REQUEST_FAILURE)
            self._send_message(answer)

    def _queue_incoming_channel(self, channel: Channel) -> None:
        self._open_channels[channel.get_id()] = channel

    def _unlink_channel(self, chanid: int) -> None:
        super()._unlink_channel(chanid)
        self._open_channels.pop(chanid, None)
        self.auth.sessions.channel_closed(chanid)


def _take_window(channel: Channel, size: int) -> list[int]:
    """Wait until the client accepts data, and take up to ``size`` bytes of the channel's window.

    Return the size of each packet. Raises ``OSError`` or ``EOFError`` if the channel is closed.
    """
    sizes: list[int] = []
    # paramiko has no public method that takes a part of the window, and its type stubs have no private methods.
    untyped: Any = channel
    with channel.lock:
        if channel.closed:
            raise OSError("The channel is closed.")
        while size and len(sizes) < MAX_PACKETS and (not sizes or channel.out_window_size):
            # Takes one packet at most.
            taken = untyped._wait_for_send_window(size)
            if not taken:
                raise EOFError
            sizes.append(taken)
            size -= taken
    return sizes


def _receive(channel: Channel, message: paramiko.Message) -> None:
    """Store received data until the session reads it. paramiko itself does not check the window."""
    data = message.get_binary()
    if len(channel.in_buffer) + len(data) > channel.in_window_size:
        raise paramiko.SSHException("The client sent more than the window allows.")
    channel.in_buffer.feed(data)


def _refuse_extended_data(channel: Channel, message: paramiko.Message) -> None:
    raise paramiko.SSHException("The client sent data that is not part of SFTP.")


def _answer_request(channel: Channel, message: paramiko.Message) -> None:
    """Start the subsystem ``sftp``; refuse shells, commands, terminals, variables, agents and X11."""
    kind, wants_answer = message.get_string(), message.get_boolean()
    transport = channel.get_transport()
    assert isinstance(transport, ServerTransport)
    is_started = kind == b"subsystem" and transport.auth.check_channel_subsystem_request(
        channel, message.get_text()
    )
    if wants_answer:
        answer = paramiko.Message()
        answer.add_byte(cMSG_CHANNEL_SUCCESS if is_started else cMSG_CHANNEL_FAILURE)
        answer.add_int(channel.remote_chanid)
        transport._send_user_message(answer)


ServerTransport._channel_handler_table = {
    **PARAMIKO_TRANSPORT._channel_handler_table,
    MSG_CHANNEL_DATA: _receive,
    MSG_CHANNEL_EXTENDED_DATA: _refuse_extended_data,
    MSG_CHANNEL_REQUEST: _answer_request,
}
