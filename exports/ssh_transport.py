"""The SSH algorithms of headend, both of its SFTP server and of pushes to suppliers' servers."""

from __future__ import annotations

from typing import Any, ClassVar

import paramiko
from paramiko.kex_curve25519 import KexCurve25519

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


class StrongTransport(paramiko.Transport):
    """paramiko's SSH connection without weak algorithms, in the order of preference.

    Excluded are CBC, 3DES, MD5, SHA-1, and key exchange on the NIST curves. So is group exchange: as a server,
    paramiko needs a file of primes for it, which not every machine has. ``curve25519-sha256`` also has the name
    that it had before RFC 8731.
    """

    _preferred_ciphers = (
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
