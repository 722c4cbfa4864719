"""API keys and SSH keys as texts: made, hashed, read, fingerprinted."""

from __future__ import annotations

import base64
import hashlib
import secrets

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, rsa

API_KEY_START = "hek_"
PREFIX_LENGTH = 12


def new_api_key() -> str:
    """A fresh API key: 256 random bits behind a mark that secret scanners can look for."""
    return API_KEY_START + secrets.token_urlsafe(32)


def digest(api_key: str) -> str:
    """What is kept of an API key. Its 256 random bits make salt and stretching needless."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def new_private_key() -> str:
    """An RSA 2048 private key in PEM "BEGIN RSA PRIVATE KEY" form, as the reference's clients load it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def public_key_of(private_key: str) -> str:
    """The public half of a PEM private key, as one authorized_keys line without comment."""
    key = serialization.load_pem_private_key(private_key.encode(), password=None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )


def normalised_public_key(line: str) -> str:
    """An authorized_keys line reduced to type and key. Raises ``ValueError`` with what is wrong."""
    try:
        key = serialization.load_ssh_public_key(line.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(
            "This is not a public key as in authorized_keys, such as ssh-ed25519 AAAA…"
        ) from None
    if isinstance(key, dsa.DSAPublicKey):
        raise ValueError("DSA keys are no longer safe; use RSA, Ed25519 or ECDSA.")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
        raise ValueError(f"This RSA key has {key.key_size} bits; 2048 is the least.")
    return key.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    ).decode()


def fingerprint(public_key: str) -> str:
    """The ``SHA256:…`` fingerprint of an authorized_keys line, as ``ssh-keygen -l`` prints it."""
    blob = base64.b64decode(public_key.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
