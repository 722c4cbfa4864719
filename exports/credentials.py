"""Functions on API keys and SSH keys as text: create, hash, validate, fingerprint."""

from __future__ import annotations

import base64
import hashlib
import secrets

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, rsa

API_KEY_START = "hek_"
PREFIX_LENGTH = 12
"""How many characters of an API key are stored and shown, so that people can tell keys apart."""


def new_api_key() -> str:
    """Return a new API key: 256 random bits after a prefix that secret scanners recognise."""
    return API_KEY_START + secrets.token_urlsafe(32)


def prefix(api_key: str) -> str:
    """Return the first characters of an API key, which are stored and shown."""
    return api_key[:PREFIX_LENGTH]


def digest(api_key: str) -> str:
    """Return the SHA-256 of an API key, the form in which it is stored.

    A salt and a slow hash are not needed, because the key has 256 random bits.
    """
    return hashlib.sha256(api_key.encode()).hexdigest()


def new_private_key() -> str:
    """Return a new RSA 2048 private key as PEM ("BEGIN RSA PRIVATE KEY").

    Clients of the AWS reference load keys in this form with paramiko's ``RSAKey.from_private_key``.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def public_key_of(private_key: str) -> str:
    """Return the public key of a private key in PEM or OpenSSH's format, as an authorized_keys line without comment.

    The key is the deployment's own, so its primes are not tested again, which would take 60 to 90 ms.
    """
    is_openssh = "BEGIN OPENSSH PRIVATE KEY" in private_key
    load = serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
    key = load(private_key.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )


def normalised_public_key(line: str) -> str:
    """Return an authorized_keys line without its options and comment: type and key.

    Raises ``ValueError`` with a sentence for the user if the line is not a public key, or if the key is weak.
    """
    try:
        key = serialization.load_ssh_public_key(line.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(
            "This is not a public key. Enter one line of authorized_keys, such as ssh-ed25519 AAAA…"
        ) from None
    if isinstance(key, dsa.DSAPublicKey):
        raise ValueError("DSA keys are not secure; use RSA, Ed25519 or ECDSA.")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
        raise ValueError(f"This RSA key has {key.key_size} bits; the minimum is 2048.")
    return key.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    ).decode()


def fingerprint(public_key: str) -> str:
    """Return the ``SHA256:…`` fingerprint of an authorized_keys line, as ``ssh-keygen -l`` prints it."""
    blob = base64.b64decode(public_key.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
