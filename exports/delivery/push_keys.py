"""The deployment's keys for the SFTP servers of suppliers.

They do not need paramiko, which takes 70 ms at the start of a process and 9 MB of its memory.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from exports.credentials import new_private_key, public_key_of
from exports.models import Supplier
from headend.config import rotation


def private_keys(supplier: Supplier) -> list[str]:
    """Return the deployment's private keys for the supplier's server, as PEM, the newest first.

    The first call creates a key. There are two for some days after a rotation.
    """
    return rotation.valid_values(settings.SECRETS, _secret_name(supplier), new_private_key)


def public_key(supplier: Supplier) -> str:
    """Return the line that the supplier adds to its authorized_keys."""
    private_key = settings.SECRETS.get_or_make(_secret_name(supplier), new_private_key)
    return f"{public_key_of(private_key)} headend"


def rotate_key(supplier: Supplier, *, at_once: bool = False) -> datetime | None:
    """Replace the private key, and return until when pushes also try the old one, see ``rotation.rotate``.

    The caller must hold the lock ``ROTATE``. Raises ``OverlapError`` if the key before the old one is still in use.
    """
    return rotation.rotate(
        settings.SECRETS, _secret_name(supplier), new_private_key, at_once=at_once
    )


def _secret_name(supplier: Supplier) -> str:
    return f"{settings.SECRETS_PREFIX}/push/{supplier.name}/private_key"
