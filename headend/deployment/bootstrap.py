"""The steps that make a deployment out of an empty folder; each may be taken again at any time."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured

from exports import credentials
from exports.models import ApiKey, SshKey, Supplier

OPERATOR = "operator"
BYTES_A_READING = 33
"""On disk, after compaction; measured on a day of 50,000 meters."""


def api_key_secret() -> str:
    """The name under which the default supplier's API key is kept."""
    return f"{settings.SECRETS_PREFIX}/api_key"


def private_key_secret() -> str:
    """The name under which the default supplier's private key is kept; the guide's ``SecretName``."""
    return f"{settings.SECRETS_PREFIX}/sftp/private_key"


def operator_password_secret() -> str:
    """The name under which the operator's first password is kept."""
    return f"{settings.SECRETS_PREFIX}/operator_password"


def ensure_default_supplier() -> Supplier:
    """The supplier of the guide, with the API key and the RSA key that the secrets store holds."""
    api_key = settings.SECRETS.get_or_make(api_key_secret(), credentials.new_api_key)
    private_key = settings.SECRETS.get_or_make(private_key_secret(), credentials.new_private_key)
    public_key = credentials.public_key_of(private_key)
    supplier, _ = Supplier.objects.get_or_create(name=settings.DEFAULT_SUPPLIER)
    ApiKey.objects.get_or_create(
        digest=credentials.digest(api_key),
        defaults={
            "supplier": supplier,
            "label": "first key",
            "prefix": api_key[: credentials.PREFIX_LENGTH],
        },
    )
    SshKey.objects.get_or_create(
        supplier=supplier,
        fingerprint=credentials.fingerprint(public_key),
        defaults={"label": "first key", "public_key": public_key},
    )
    return supplier


def ensure_operator() -> None:
    """One login that may do everything; its first password is kept, a changed one is left alone."""
    password = settings.SECRETS.get_or_make(
        operator_password_secret(), lambda: secrets.token_urlsafe(12)
    )
    users = get_user_model().objects
    if not users.filter(username=OPERATOR).exists():
        users.create_superuser(OPERATOR, password=password)


def check_port(setting: str, port: int) -> None:
    """Raise ``ImproperlyConfigured`` when somebody else listens where this deployment wants to."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.HEADEND_HOST, port))
        except OSError as error:
            raise ImproperlyConfigured(
                f"{setting}: {settings.HEADEND_HOST}:{port} cannot be listened on"
                f" ({error.strerror}); set {setting} to a free port."
            ) from None


@contextmanager
def sole_use_of(home: Path) -> Iterator[None]:
    """Keep a second deployment out of the state folder. The kernel frees it, however this process ends.

    Raises ``ImproperlyConfigured`` when another has it.
    """
    handle = os.open(home / "deployment.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ImproperlyConfigured(
            f"HEADEND_HOME: {home} is in use by a deployment that runs already."
        ) from None
    try:
        yield
    finally:
        os.close(handle)


def gigabytes_a_day() -> float:
    """What the live fleet writes a day."""
    intervals = 1440 / settings.SIMULATION_INTERVAL
    return float(settings.SIMULATION_DEVICES * intervals * BYTES_A_READING / 1e9)
