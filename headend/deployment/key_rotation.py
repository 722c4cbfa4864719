"""Replace the keys of the default supplier. The keys are in the secrets store, and their hashes in the database.

No transaction includes a call of the secrets store, because its locks would last as long as the call. So there are
three steps: the new key is added to the database, it is stored as a secret, and the old key becomes invalid. If a step
fails, the rotation can be repeated, because the old key is still valid. The new key stays valid too: the secrets store
may have stored it although the call failed.
"""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q
from django.utils import timezone

from exports import credentials
from exports.models import ApiKey, Supplier
from exports.suppliers.hand_over import FIRST_KEY_LABEL, add_ssh_key
from headend.config.program import PROGRAM
from headend.deployment import bootstrap

LABEL = "rotated key"
"""The label of a key that replaced another one."""
_LABELS = (FIRST_KEY_LABEL, LABEL)
"""The labels of all keys that are or were in the secrets store."""


def rotate_api_key(*, at_once: bool = False) -> str:
    """Replace the default supplier's API key in the secrets, and return the first characters of the old one.

    The old key stays valid until it is revoked. With ``at_once``, the old key and all keys that were replaced before
    are revoked, because any of them may have leaked. Raises ``ImproperlyConfigured`` if the deployment has not been set
    up. The key in the secrets is valid at any time, even if the process ends between two steps.
    """
    old, new = _stored(bootstrap.api_key_secret()), credentials.new_api_key()
    supplier = _default_supplier()
    added = ApiKey.objects.create(
        supplier=supplier,
        label=LABEL,
        prefix=credentials.prefix(new),
        digest=credentials.digest(new),
    )
    settings.SECRETS.put(bootstrap.api_key_secret(), new)
    if at_once:
        replaced = Q(label__in=_LABELS) | Q(digest=credentials.digest(old))
        valid = supplier.api_keys.filter(replaced, revoked_at=None).exclude(pk=added.pk)
        valid.update(revoked_at=timezone.now())
    return credentials.prefix(old)


def rotate_ssh_key(*, at_once: bool = False) -> str:
    """Replace the default supplier's SSH key in the secrets, and return the fingerprint of the old one.

    The old key stays valid until it is deleted. With ``at_once``, the old key and all keys that were replaced before
    are deleted. Raises ``ImproperlyConfigured`` if the deployment has not been set up. The key in the secrets is valid
    at any time, even if the process ends between two steps.
    """
    old, new = _stored(bootstrap.private_key_secret()), credentials.new_private_key()
    old_fingerprint = credentials.fingerprint(credentials.public_key_of(old))
    supplier = _default_supplier()
    added = add_ssh_key(supplier, credentials.public_key_of(new), LABEL)
    settings.SECRETS.put(bootstrap.private_key_secret(), new)
    if at_once:
        replaced = Q(label__in=_LABELS) | Q(fingerprint=old_fingerprint)
        supplier.ssh_keys.filter(replaced).exclude(pk=added.pk).delete()
    return old_fingerprint


def _stored(name: str) -> str:
    stored: str | None = settings.SECRETS.get(name)
    if stored is None:
        raise ImproperlyConfigured(
            f"SECRETS_URL: there is no secret {name}. Run `{PROGRAM} setup`, which creates it."
        )
    return stored


def _default_supplier() -> Supplier:
    try:
        return Supplier.objects.get(name=settings.DEFAULT_SUPPLIER)
    except Supplier.DoesNotExist:
        raise ImproperlyConfigured(
            f"DATABASE_URL: there is no supplier {settings.DEFAULT_SUPPLIER}. Run `{PROGRAM} setup`, which creates it."
        ) from None
