"""SSH algorithms for old SFTP clients.

They are ``ssh-rsa``, which is RSA with SHA-1; key exchange on the NIST curves and in finite fields; and MACs that are
not encrypt-then-MAC. The server also has an ECDSA host key then. They are off by default
(``SFTP_LEGACY_ALGORITHMS``): ssh-audit warns of each, and a signature with SHA-1 can be forged with enough effort.
paramiko itself no longer supports ``ssh-rsa``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import paramiko
from cryptography.hazmat.primitives import hashes

from exports.sftp.transport import ServerTransport
from exports.ssh_transport import NIST_CURVES, PARAMIKO_TRANSPORT, StrongTransport


class LegacyRSAKey(paramiko.RSAKey):
    """An RSA key that also signs and verifies with SHA-1."""

    # paramiko looks up the hash of an algorithm in this table of the key's class.
    HASHES = {**paramiko.RSAKey.HASHES, "ssh-rsa": hashes.SHA1}  # type: ignore[misc] # final in the type stubs only


class LegacyTransport(ServerTransport):
    """The server's end of an SSH connection, for old clients too. Old algorithms are the last choice.

    ``ssh-rsa`` applies to the signature of the server's RSA host key and for signatures of clients.
    """

    _preferred_kex = (*StrongTransport._preferred_kex, *NIST_CURVES)
    _preferred_macs = StrongTransport._preferred_macs
    _preferred_keys = (*PARAMIKO_TRANSPORT._preferred_keys, "ssh-rsa")
    _preferred_pubkeys = (*PARAMIKO_TRANSPORT._preferred_pubkeys, "ssh-rsa")
    _key_info: ClassVar[dict[str, type[Any]]] = {
        **PARAMIKO_TRANSPORT._key_info,
        "ssh-rsa": LegacyRSAKey,
    }

    def add_server_key(self, key: paramiko.PKey) -> None:
        """Add a host key; an RSA key also signs with SHA-1."""
        super().add_server_key(
            LegacyRSAKey(key=key.private_key) if isinstance(key, paramiko.RSAKey) else key
        )
