"""Create a supplier's credentials: an API key, or a key pair for SFTP.

The deployment stores the API key's hash and the key pair's public key. The API key itself and the
private key are returned once, to be shown on the hand-over page, and are not stored anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from exports import credentials
from exports.models import ApiKey, SshKey, Supplier

FIRST_KEY_LABEL = "first key"
"""The label of the keys that a supplier gets when it is created."""


@dataclass(frozen=True)
class KeyPair:
    """A stored SSH key and its private key (PEM), which is stored nowhere."""

    ssh_key: SshKey
    private_key: str


def create_api_key(supplier: Supplier, label: str = "") -> str:
    """Create an API key and return it. Only its hash is stored, so it cannot be shown again."""
    key = credentials.new_api_key()
    ApiKey.objects.create(
        supplier=supplier,
        label=label,
        prefix=credentials.prefix(key),
        digest=credentials.digest(key),
    )
    return key


def create_key_pair(supplier: Supplier, label: str = "") -> KeyPair:
    """Create a key pair. Its public key is valid for the supplier's SFTP login from now on."""
    private_key = credentials.new_private_key()
    ssh_key = add_ssh_key(supplier, credentials.public_key_of(private_key), label)
    return KeyPair(ssh_key, private_key)


def add_ssh_key(supplier: Supplier, public_key: str, label: str = "") -> SshKey:
    """Store a normalised public key for the supplier's SFTP login."""
    return SshKey.objects.create(
        supplier=supplier,
        label=label,
        public_key=public_key,
        fingerprint=credentials.fingerprint(public_key),
    )
