"""Reads and writes the SSH packets of one SFTP connection, with few copies, memory allocations and system calls."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko.common import MSG_CHANNEL_DATA, cMSG_CHANNEL_DATA

from exports.ssh_transport import BoundedPacketizer

MAX_DATA_BYTES = 256 * 1024
"""The capacity of a :class:`DataBuffer`."""
MAX_PACKETS = 64
"""The most packets that are sent at once. Clients that accept only small packets get their data in several turns."""
_READ_AHEAD_BYTES = 8192
_BLOCK, _TAG, _MIN_PADDING = 16, 16, 4
_CHANNEL_DATA_HEADER = struct.Struct(">BBII")
"""The length of the padding, the type of the message, the number of the channel and the length of the data."""
_LENGTH = struct.Struct(">I")
_MAX_SPARE_BUFFERS = 16

if TYPE_CHECKING:

    class _BoundedPacketizer(BoundedPacketizer):
        """paramiko's class with attributes that its type stubs do not contain."""

        _Packetizer__block_engine_out: Any
        _Packetizer__aead_out: bool
        _Packetizer__iv_out: bytes
        _Packetizer__remainder: bytes
        _Packetizer__sent_bytes: int
        _Packetizer__sent_packets: int
        _Packetizer__sequence_number_out: int
        _Packetizer__received_bytes_overflow: int
        _Packetizer__received_packets_overflow: int
        _Packetizer__write_lock: Any

        def _inc_iv_counter(self, iv: bytes) -> bytes: ...
else:
    _BoundedPacketizer = BoundedPacketizer


class DataBuffer:
    """The bytes that a session sends, and the packets that are made from them.

    It is used again and again: the kernel clears new memory before a process gets it, which takes longer than the
    encryption.
    """

    def __init__(self) -> None:
        head, most_padding = _CHANNEL_DATA_HEADER.size, _BLOCK + _MIN_PADDING
        per_packet = _LENGTH.size + head + most_padding + _TAG
        self.plain = memoryview(bytearray(head + MAX_DATA_BYTES + most_padding))
        self.packets = memoryview(bytearray(MAX_DATA_BYTES + MAX_PACKETS * per_packet))
        self.data = self.plain[head : head + MAX_DATA_BYTES]
        """The part of ``plain`` for the bytes to send."""


_spare_buffers: list[DataBuffer] = []


@contextmanager
def data_buffer() -> Iterator[DataBuffer]:
    """Take a buffer from the pool, or a new one. Its content is undefined. At most 16 unused buffers are kept."""
    try:
        buffer = _spare_buffers.pop()
    except IndexError:
        buffer = DataBuffer()
    try:
        yield buffer
    finally:
        if len(_spare_buffers) < _MAX_SPARE_BUFFERS:
            _spare_buffers.append(buffer)


@dataclass(frozen=True)
class ChannelData:
    """Bytes for a channel: those of ``buffer.data`` from ``start`` on, as one packet of each size."""

    channel_id: int
    buffer: DataBuffer
    start: int
    sizes: Sequence[int]


class _ReadAheadSocket:
    """A socket that reads several small packets with one system call. It has only what paramiko's packetizer uses."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.send, self.close = sock.send, sock.close
        self.unread = b""

    def recv(self, size: int) -> bytes:
        """Return up to ``size`` bytes."""
        received = self.unread or self._socket.recv(max(size, _READ_AHEAD_BYTES))
        self.unread = received[size:]
        return received[:size]


class ServerPacketizer(_BoundedPacketizer):
    """paramiko's packetizer without its timer, and with a method that sends much data at once."""

    def __init__(self, sock: socket.socket) -> None:
        self._reader = _ReadAheadSocket(sock)
        self._arrivals = select.poll()
        self._arrivals.register(sock, select.POLLIN)
        super().__init__(self._reader)  # type: ignore[arg-type] # paramiko declares a socket, and calls only methods that this class has

    def start_handshake(self, timeout: float) -> None:
        """Do nothing. paramiko would start a thread as a timer, and the server already limits the time of a login."""

    def wait_until_received(self, seconds: float) -> bool:
        """Wait until the client has sent something that was not read yet. Return false if it does not in time."""
        is_received = self._Packetizer__remainder or self._reader.unread
        return bool(is_received or self._arrivals.poll(seconds * 1000))

    def send_message(self, data: paramiko.Message | ChannelData) -> None:
        """Send a message. Blocks until the socket has accepted all bytes.

        With AES-GCM, the bytes for a channel are not copied, but encrypted into one block, which is sent at once. With
        other ciphers, paramiko sends each packet.
        """
        if isinstance(data, paramiko.Message):
            super().send_message(data)
        elif self._Packetizer__aead_out:
            with self._Packetizer__write_lock:
                length = self._encrypt(data)
                self.write_all(data.buffer.packets[:length])
                self._count_sent(length, len(data.sizes))
        else:
            for message in _messages(data):
                super().send_message(message)

    def _encrypt(self, data: ChannelData) -> int:
        """Write encrypted packets to ``buffer.packets``, and return their length in bytes."""
        plain, packets, start, filled = data.buffer.plain, data.buffer.packets, data.start, 0
        encrypt_into, iv = self._Packetizer__block_engine_out.encrypt_into, self._Packetizer__iv_out
        for size in data.sizes:
            # The header takes the place of bytes that are already encrypted, or of the room before the first ones.
            # The padding takes the place of the next bytes, which are restored after it is encrypted.
            end = start + _CHANNEL_DATA_HEADER.size + size
            unpadded = end - start
            padding = _MIN_PADDING + -(unpadded + _MIN_PADDING) % _BLOCK
            padded = unpadded + padding
            _CHANNEL_DATA_HEADER.pack_into(
                plain, start, padding, MSG_CHANNEL_DATA, data.channel_id, size
            )
            following = bytes(plain[end : end + padding])
            plain[end : end + padding] = os.urandom(padding)
            length = _LENGTH.pack(padded)
            begin = filled + _LENGTH.size
            packets[filled:begin] = length
            filled = begin + padded + _TAG
            encrypt_into(iv, plain[start : end + padding], length, packets[begin:filled])
            plain[end : end + padding] = following
            iv = self._Packetizer__iv_out = self._inc_iv_counter(iv)
            start += size
        return filled

    def _count_sent(self, sent_bytes: int, packets: int) -> None:
        """Count what was sent, and ask for new keys if it was much. paramiko does the same in ``send_message``."""
        sequence_number = self._Packetizer__sequence_number_out + packets
        self._Packetizer__sequence_number_out = sequence_number & 0xFFFFFFFF
        self._Packetizer__sent_bytes += sent_bytes
        self._Packetizer__sent_packets += packets
        is_much = (
            self._Packetizer__sent_packets >= self.REKEY_PACKETS
            or self._Packetizer__sent_bytes >= self.REKEY_BYTES
        )
        if is_much and not self.need_rekey():
            self._Packetizer__received_bytes_overflow = 0
            self._Packetizer__received_packets_overflow = 0
            self._trigger_rekey()


def _messages(data: ChannelData) -> Iterator[paramiko.Message]:
    start = data.start
    for size in data.sizes:
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_DATA)
        message.add_int(data.channel_id)
        message.add_string(bytes(data.buffer.data[start : start + size]))
        yield message
        start += size
