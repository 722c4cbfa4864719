"""The steps that create a deployment in an empty folder. Each can be repeated at any time."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured

from exports import credentials
from exports.models import ApiKey, SshKey, Supplier
from exports.stores import export_store
from exports.suppliers.hand_over import FIRST_KEY_LABEL
from headend.config.program import PROGRAM
from headend.monitoring import health

OPERATOR = "operator"
"""The user name of the first operator."""
BROKER_HINT = (
    "Correct CELERY_BROKER_URL, and check that the broker runs and can be reached from this host."
)
_REFUSED_LOGIN = re.compile("password|authentication", re.IGNORECASE)
"""What the errors of Redis and Valkey say about a missing or wrong user or password."""
BYTES_PER_READING = 57
"""On disk, in bytes, with meter copies. Measured with 50,000 meters of ``mixed``; ``uniform`` has fewer columns."""


def api_key_secret() -> str:
    """Return the name of the secret that holds the default supplier's API key."""
    return f"{settings.SECRETS_PREFIX}/api_key"


def private_key_secret() -> str:
    """Return the name of the secret that holds the default supplier's private key.

    The AWS guide calls this name ``SecretName``.
    """
    return f"{settings.SECRETS_PREFIX}/sftp/private_key"


def operator_password_secret() -> str:
    """Return the name of the secret that holds the operator's first password."""
    return f"{settings.SECRETS_PREFIX}/operator_password"


def ensure_default_supplier() -> Supplier:
    """Return the default supplier; create it, its API key and its RSA key if they are missing.

    The keys are in the secrets store, and are created there if they are missing.
    """
    api_key = settings.SECRETS.get_or_make(api_key_secret(), credentials.new_api_key)
    private_key = settings.SECRETS.get_or_make(private_key_secret(), credentials.new_private_key)
    public_key = credentials.public_key_of(private_key)
    supplier, _ = Supplier.objects.get_or_create(name=settings.DEFAULT_SUPPLIER)
    ApiKey.objects.get_or_create(
        digest=credentials.digest(api_key),
        defaults={
            "supplier": supplier,
            "label": FIRST_KEY_LABEL,
            "prefix": credentials.prefix(api_key),
        },
    )
    SshKey.objects.get_or_create(
        supplier=supplier,
        fingerprint=credentials.fingerprint(public_key),
        defaults={"label": FIRST_KEY_LABEL, "public_key": public_key},
    )
    return supplier


def ensure_operator() -> None:
    """Create the first operator, a superuser, if there is none.

    The first password is in the secrets store. A password that a user has changed stays.
    """
    password = settings.SECRETS.get_or_make(
        operator_password_secret(), lambda: secrets.token_urlsafe(12)
    )
    users = get_user_model().objects
    if not users.filter(username=OPERATOR).exists():
        users.create_superuser(OPERATOR, password=password)


def check_secrets() -> None:
    """Raise ``ImproperlyConfigured`` if the secrets store cannot be used. A missing secret is no error.

    Raises ``OSError`` if a folder cannot be used.
    """
    try:
        settings.SECRETS.get(api_key_secret())
    except OSError:
        raise
    except Exception as error:
        # boto3 raises its own errors. Their texts contain no secrets.
        raise ImproperlyConfigured(
            f"SECRETS_URL: the secrets cannot be read: {_reason(error)}. Correct SECRETS_URL, and check the credentials"
            " that boto3 finds and their permission secretsmanager:GetSecretValue."
        ) from None


def check_export_store() -> None:
    """Raise ``ImproperlyConfigured`` if the bucket of ``EXPORTS_URL`` cannot be used."""
    problem = export_store().problem()
    if problem:
        raise ImproperlyConfigured(f"EXPORTS_URL: {problem}.")


def check_broker() -> None:
    """Raise ``ImproperlyConfigured`` with the sentences of :func:`broker_problem` if the broker cannot be used."""
    problem = broker_problem()
    if problem:
        raise ImproperlyConfigured(". ".join(problem))


def broker_problem() -> tuple[str, str] | None:
    """Return what is wrong with the message broker, and a sentence that says what to do; None if it takes messages."""
    try:
        health.check_broker()
    except Exception as error:
        folder = settings.CELERY_BROKER_TRANSPORT_OPTIONS.get("data_folder_out")
        if folder is not None and not Path(folder).exists():
            return (
                f"CELERY_BROKER_URL: the folder of the messages, {folder}, does not exist",
                f"Run `{PROGRAM} setup`, which creates it.",
            )
        # The library of each broker raises its own errors. Their texts contain no passwords.
        found = _reason(error)
        hint = BROKER_HINT
        if _REFUSED_LOGIN.search(found):
            hint = "Correct the user and the password in CELERY_BROKER_URL."
        return f"CELERY_BROKER_URL: the broker cannot be used: {found}", hint
    return None


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def gigabytes_per_day() -> float:
    """Return how many gigabytes a day of the live fleet takes after maintenance."""
    intervals = 1440 / settings.SIMULATION_INTERVAL
    return float(settings.SIMULATION_DEVICES * intervals * BYTES_PER_READING / 1e9)
