"""SSH connections of headend, both of its SFTP server and of pushes to suppliers' servers: algorithms and limits."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, ClassVar

import paramiko
from paramiko.kex_curve25519 import KexCurve25519
from paramiko.packet import Packetizer

MAX_SSH_PACKET_BYTES = 256 * 1024
"""The longest SSH packet that is read. RFC 4253 requires 35,000 bytes; OpenSSH also allows 256 KiB."""
MAX_VERSION_BYTES = 32 * 1024
"""The most bytes that are read until the other side's version line is complete. A server may send lines before it."""
MAX_EXTENSIONS = 16
"""The most extensions (RFC 8308) that the other side may announce. OpenSSH's server announces three."""
_LONGEST_MAC_BYTES = 64

PARAMIKO_TRANSPORT: Any = paramiko.Transport
"""paramiko's class, with the tables of algorithms that its type stubs do not contain."""

NIST_CURVES = ("ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521")
"""Key exchange on the NIST curves: only for old clients and for suppliers' servers that have no other."""

_KNOWN = {**PARAMIKO_TRANSPORT._kex_info, "curve25519-sha256": KexCurve25519}
# OpenSSL may be too old for the first one. Then paramiko does not know it.
_KEX = {
    name: _KNOWN[name]
    for name in (
        "mlkem768x25519-sha256",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group14-sha256",
    )
    if name in _KNOWN
}


if TYPE_CHECKING:

    class _Packetizer(Packetizer):
        """paramiko's class with the method that its type stubs do not contain."""

        def _read_timeout(self, timeout: float) -> bytes: ...
        def _trigger_rekey(self) -> None: ...
else:
    _Packetizer = Packetizer


class BoundedPacketizer(_Packetizer):
    """paramiko's reader of packets, which refuses long packets before it allocates memory for them."""

    _version_bytes = 0

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:  # noqa: FBT001, FBT002 # paramiko's parameters
        """Return the next ``n`` bytes of a packet. Raises ``SSHException`` for a length that no packet has."""
        if not 0 <= n <= MAX_SSH_PACKET_BYTES + _LONGEST_MAC_BYTES:
            raise paramiko.SSHException(f"A packet is longer than {MAX_SSH_PACKET_BYTES} bytes.")
        return super().read_all(n, check_rekey)

    def _read_timeout(self, timeout: float) -> bytes:
        # paramiko calls this only until the version line is complete.
        data = super()._read_timeout(timeout)
        self._version_bytes += len(data)
        if self._version_bytes > MAX_VERSION_BYTES:
            raise paramiko.SSHException(f"No version line in {MAX_VERSION_BYTES} bytes.")
        return data


class StrongTransport(paramiko.Transport):
    """paramiko's SSH connection without weak algorithms, in the order of preference, and with limits.

    Excluded are CBC, 3DES, MD5, SHA-1, and key exchange on the NIST curves. So is group exchange: as a server,
    paramiko needs a file of primes for it, which not every machine has. ``curve25519-sha256`` also has the name
    that it had before RFC 8731.
    """

    _preferred_ciphers: tuple[str, ...] = (
        "aes256-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "aes256-ctr",
        "aes192-ctr",
        "aes128-ctr",
    )
    _preferred_macs: ClassVar[tuple[str, ...]] = (
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
    )
    _preferred_kex: ClassVar[tuple[str, ...]] = tuple(_KEX)
    _kex_info: ClassVar[dict[str, type[Any]]] = _KNOWN

    _packetizer_class: ClassVar[type[BoundedPacketizer]] = BoundedPacketizer

    def __init__(self, sock: socket.socket, **options: Any) -> None:
        super().__init__(sock, packetizer_class=self._packetizer_class, **options)

    def _parse_ext_info(self, msg: paramiko.Message) -> None:
        # paramiko reads as many extensions as the message announces, even if it contains fewer.
        count = msg.get_int()
        if count > MAX_EXTENSIONS:
            raise paramiko.SSHException(f"More than {MAX_EXTENSIONS} extensions.")
        self.server_extensions = {msg.get_text(): msg.get_string() for _ in range(count)}
