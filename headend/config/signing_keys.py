"""Django's secret key, which signs sessions and download links, and the key before the last rotation."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import cast

from django.utils.functional import SimpleLazyObject

from headend.config import rotation
from headend.config.secrets import Secrets

NAME = "django/secret_key"


def stored_key(store: Secrets) -> str:
    """Return the key. It is read when it is first used, and created if it is missing."""
    return loaded_on_first_use(lambda: store.get_or_make(NAME, _new_key))


def old_key(store: Secrets) -> str:
    """Return the key before the last rotation. It is read when it is first used.

    If no such key is valid, the result is a random text, with which nothing was signed.
    """

    def load() -> str:
        old = rotation.old_value(store, NAME)
        return old.value if old else _new_key()

    return loaded_on_first_use(load)


def rotate(store: Secrets, *, at_once: bool = False) -> datetime | None:
    """Replace the stored key, see :func:`headend.config.rotation.rotate`. Running processes use the old one until they are restarted."""
    return rotation.rotate(store, NAME, _new_key, at_once=at_once)


def _new_key() -> str:
    return secrets.token_urlsafe(64)


def loaded_on_first_use(load: Callable[[], str]) -> str:
    """Return a text that calls ``load`` when it is used for the first time.

    For ``SECRET_KEY``: Django reads this setting only to sign something, so a command that signs nothing needs no
    secret. The result behaves like a ``str`` wherever Django uses ``SECRET_KEY``.
    """
    return cast("str", SimpleLazyObject(load))
