"""The SFTP server's host keys. They are created at the first start and stored as secrets, so clients can pin them."""

from __future__ import annotations

import io

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from django.conf import settings

from exports.credentials import public_key_of


def host_keys() -> list[paramiko.PKey]:
    """Return an Ed25519 key, and an ECDSA and an RSA key for clients without Ed25519; create missing keys."""
    ed25519_text, ecdsa_text, rsa_text = _stored_keys()
    return [
        paramiko.Ed25519Key.from_private_key(io.StringIO(ed25519_text)),
        paramiko.ECDSAKey.from_private_key(io.StringIO(ecdsa_text)),
        paramiko.RSAKey.from_private_key(io.StringIO(rsa_text)),
    ]


def known_hosts_lines(host: str, port: int) -> str:
    """Return the lines of a client's known_hosts file for this server, each with a line end."""
    name = host if port == 22 else f"[{host}]:{port}"
    return "".join(f"{name} {public_key_of(text)}\n" for text in _stored_keys())


def _stored_keys() -> list[str]:
    """Return the private keys in OpenSSH's format: Ed25519, ECDSA, RSA."""
    return [
        settings.SECRETS.get_or_make("sftp/host_key_ed25519", _new_ed25519),
        settings.SECRETS.get_or_make("sftp/host_key_ecdsa", _new_ecdsa),
        settings.SECRETS.get_or_make("sftp/host_key_rsa", _new_rsa),
    ]


def _new_ed25519() -> str:
    return _openssh_format(ed25519.Ed25519PrivateKey.generate())


def _new_ecdsa() -> str:
    # Every client that supports ECDSA supports this curve.
    return _openssh_format(ec.generate_private_key(ec.SECP256R1()))


def _new_rsa() -> str:
    return _openssh_format(rsa.generate_private_key(public_exponent=65537, key_size=3072))


def _openssh_format(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    ).decode()
