"""The server's end of an SSH connection: it answers what SFTP needs, refuses everything else, and has limits."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

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
from exports.sftp.login import LoginHandler
from exports.ssh_transport import PARAMIKO_TRANSPORT, BoundedPacketizer, StrongTransport

WINDOW_BYTES = 256 * 1024
"""The most bytes that a client may send before the session has read them. Requests for reads have 40 bytes."""
REKEY_SECONDS = 3600
"""New keys are exchanged after this time; paramiko does it after 512 MiB, too."""
REKEY_TIMEOUT = 30
"""Seconds until an exchange of new keys must be complete."""
FREE_REKEYS = 10
REKEY_BYTES = 1024 * 1024
"""A client may exchange keys :data:`FREE_REKEYS` times, and once more for each minute and these bytes."""

if TYPE_CHECKING:

    class _StrongTransport(StrongTransport):
        """paramiko's class with the methods that its type stubs do not contain."""

        def _parse_newkeys(self, m: paramiko.Message) -> None: ...
        def _send_kex_init(self) -> None: ...
        def _negotiate_keys(self, m: paramiko.Message) -> None: ...
        def _send_message(self, data: paramiko.Message) -> None: ...
        def _send_user_message(self, data: paramiko.Message) -> None: ...
        def _unlink_channel(self, chanid: int) -> None: ...
else:
    _StrongTransport = StrongTransport


class _UntimedPacketizer(BoundedPacketizer):
    def start_handshake(self, timeout: float) -> None:
        """Start no timer, which would be one more thread: the server limits the time until the login is complete."""


class ServerTransport(_StrongTransport):
    """One client's SSH connection.

    Only channels of type *session* exist, and the only request of a channel is the subsystem ``sftp``.
    """

    # Pushes also use others of StrongTransport. ssh-audit warns of them: MACs that are not encrypt-then-MAC, and
    # finite-field Diffie-Hellman, with which strangers make the server compute a lot.
    _preferred_kex = tuple(
        name for name in StrongTransport._preferred_kex if not name.startswith("diffie-hellman")
    )
    _preferred_macs = tuple(name for name in StrongTransport._preferred_macs if "-etm@" in name)
    _packetizer_class = _UntimedPacketizer
    packetizer: _UntimedPacketizer
    _channel_handler_table: ClassVar[dict[int, Callable[[Channel, paramiko.Message], None]]]

    def __init__(self, sock: socket.socket, auth: ConnectionAuth) -> None:
        super().__init__(sock, default_window_size=WINDOW_BYTES)
        self.auth = auth
        # paramiko itself keeps every channel in a list that grows until somebody accepts the channels.
        self._open_channels: dict[int, Channel] = {}
        self._started_at = self._keys_changed_at = time.monotonic()
        self._rekey_began_at: float | None = None
        self._rekeys = 0

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

    def _send_kex_init(self) -> None:
        if self._rekey_began_at is None:
            self._rekey_began_at = time.monotonic()
        super()._send_kex_init()

    def _negotiate_keys(self, m: paramiko.Message) -> None:
        if self.initial_kex_done and self.local_kex_init is None:
            self._count_rekey()
        super()._negotiate_keys(m)

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

    def _parse_global_request(self, m: paramiko.Message) -> None:
        """Refuse port forwarding and everything else. Clients also ask for unknown things to keep a connection alive."""
        m.get_string()
        if m.get_boolean():
            refusal = paramiko.Message()
            refusal.add_byte(cMSG_REQUEST_FAILURE)
            self._send_message(refusal)

    def _queue_incoming_channel(self, channel: Channel) -> None:
        self._open_channels[channel.get_id()] = channel

    def _unlink_channel(self, chanid: int) -> None:
        super()._unlink_channel(chanid)
        self._open_channels.pop(chanid, None)
        self.auth.sessions.channel_closed(chanid)


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
