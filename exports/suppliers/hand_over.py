"""What a supplier needs to start, made and given away once: an API key, and a key pair for SFTP.

The deployment keeps the API key's hash and the key pair's public half. The private half waits for
its one download sealed with a token that only the hand-over page holds.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken
from django.db import transaction
from django.utils import timezone

from exports import credentials
from exports.models import ApiKey, KeyHandOver, SshKey, Supplier

GOOD_FOR = timedelta(hours=1)
"""A private key that nobody downloads within that time is forgotten."""


@dataclass(frozen=True)
class SealedKey:
    """A private key to be downloaded once, by whoever shows the token."""

    row: KeyHandOver
    token: str


def give_api_key(supplier: Supplier, label: str = "") -> str:
    """A new API key of the supplier's; nothing can tell it a second time."""
    key = credentials.new_api_key()
    ApiKey.objects.create(
        supplier=supplier,
        label=label,
        prefix=key[: credentials.PREFIX_LENGTH],
        digest=credentials.digest(key),
    )
    return key


def give_key_pair(supplier: Supplier, label: str = "") -> SealedKey:
    """A new key pair: its public half opens the supplier's SFTP home from now on."""
    private_key = credentials.new_private_key()
    token = Fernet.generate_key()
    with transaction.atomic():
        public_key = let_in(supplier, credentials.public_key_of(private_key), label)
        row = KeyHandOver.objects.create(
            supplier=supplier,
            fingerprint=public_key.fingerprint,
            sealed=Fernet(token).encrypt(private_key.encode()).decode(),
        )
    return SealedKey(row, token.decode())


def let_in(supplier: Supplier, public_key: str, label: str = "") -> SshKey:
    """Have a public key, normalised, open the supplier's SFTP home."""
    return SshKey.objects.create(
        supplier=supplier,
        label=label,
        public_key=public_key,
        fingerprint=credentials.fingerprint(public_key),
    )


def take_private_key(pk: uuid.UUID, token: str) -> str | None:
    """The private key, to the first who shows its token; None afterwards, to others, and when it is too late."""
    now = timezone.now()
    waiting = KeyHandOver.objects.filter(pk=pk, taken_at__isnull=True, made_at__gt=now - GOOD_FOR)
    row = waiting.first()
    if row is None:
        return None
    try:
        private_key = Fernet(token).decrypt(row.sealed).decode()
    except (InvalidToken, ValueError):
        return None
    return private_key if waiting.update(taken_at=now, sealed="") else None


def forget_what_nobody_took() -> None:
    """Throw away private keys that were not downloaded in time."""
    late = KeyHandOver.objects.filter(made_at__lte=timezone.now() - GOOD_FOR)
    late.exclude(sealed="").update(sealed="")
