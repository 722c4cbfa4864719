"""What the deployment's URLs come to, in the words of Django, django-storages and Celery.

Every function raises :class:`django.core.exceptions.ImproperlyConfigured` with a sentence that
names the variable. Credentials of AWS come from where boto3 looks for them, never from a URL.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from headend.config import environment as env
from headend.config.aws_secrets import SecretsManager
from headend.config.secrets import FileSecrets, Secrets

CONNECT_SECONDS = 5
ANSWER_SECONDS = 30
_TRIES = 6


def database(url: str) -> dict[str, Any]:
    """An entry of ``DATABASES``."""
    entry: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=60))
    if entry["ENGINE"] == "django.db.backends.sqlite3":
        entry["OPTIONS"] = {
            # Several processes write: take the write lock when a transaction starts, and wait for it.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    else:
        # A connection that a restarted server has dropped is replaced, not handed to a request.
        entry["CONN_HEALTH_CHECKS"] = True
        entry.setdefault("OPTIONS", {}).setdefault("connect_timeout", CONNECT_SECONDS)
    return entry


def check_readings(url: str) -> None:
    """Refuse a ``READINGS_URL`` that no repository could open."""
    if urlsplit(url).scheme == "delta":
        env.folder("READINGS_URL", env.url_path("READINGS_URL", url))
        return
    # Polars comes with it, which most commands can do without.
    from readings.repositories.timestream.address import Address

    try:
        Address.of(url)
    except ValueError as error:
        raise ImproperlyConfigured(f"READINGS_URL: {error}") from None


def exports_storage(url: str) -> dict[str, Any]:
    """An entry of ``STORAGES`` for ``file:///folder`` or ``s3://bucket/prefix?endpoint_url=…&region=…``."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        folder = env.folder("EXPORTS_URL", env.url_path("EXPORTS_URL", url))
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": folder},
        }
    given = _options("EXPORTS_URL", url, {"endpoint_url", "region"})
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": parts.netloc,
            "location": parts.path.strip("/"),
            "endpoint_url": given.get("endpoint_url"),
            "region_name": given.get("region"),
            "client_config": _s3_client(by_path="endpoint_url" in given),
        },
    }


def _s3_client(*, by_path: bool) -> Any:
    # botocore costs 0.2 s to import; a deployment on a disk does without.
    from botocore.config import Config

    return Config(
        signature_version="s3v4",
        # Servers other than AWS's have no host for each bucket.
        s3={"addressing_style": "path" if by_path else "auto"},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        max_pool_connections=32,
    )


def secrets_store(url: str, home: Path) -> tuple[str | None, Secrets]:
    """The prefix that ``url`` names, if it names one, and the store behind it."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return None, FileSecrets(env.folder("SECRETS_URL", env.url_path("SECRETS_URL", url)))
    given = _options("SECRETS_URL", url, {"region", "endpoint_url"})
    prefix = f"{parts.netloc}{parts.path}".strip("/")
    if not prefix:
        raise ImproperlyConfigured(
            f"SECRETS_URL is {url!r}; it names no prefix: secretsmanager://prefix."
        )
    store = SecretsManager(
        prefix,
        env.folder("HEADEND_HOME", home / "secrets"),
        region=given.get("region"),
        endpoint_url=given.get("endpoint_url"),
    )
    return prefix, store


def broker(url: str, home: Path) -> tuple[str, dict[str, Any]]:
    """``CELERY_BROKER_URL`` and ``CELERY_BROKER_TRANSPORT_OPTIONS``."""
    scheme = urlsplit(url).scheme
    if scheme in ("redis", "rediss"):
        return url, {
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": ANSWER_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": 10,
            # A caller is not kept waiting for a broker that is down; what it has to be told waits in the database.
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.1,
        }
    if scheme == "sqs":
        return _sqs(url)
    folder = env.folder("HEADEND_HOME", home / "broker")
    return "filesystem://localhost", {  # kombu warns about a URL without a host
        "data_folder_in": str(env.folder("HEADEND_HOME", folder / "messages")),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(env.folder("HEADEND_HOME", folder / "control")),
        "polling_interval": 0.1,
    }


def _sqs(url: str) -> tuple[str, dict[str, Any]]:
    """``sqs://queue-name-prefix?region=…&endpoint_url=…``."""
    given = _options("CELERY_BROKER_URL", url, {"region", "endpoint_url"})
    endpoint = urlsplit(given.get("endpoint_url", ""))
    options = {
        "region": given.get("region", "us-east-1"),
        "is_secure": endpoint.scheme != "http",
        "queue_name_prefix": f"{urlsplit(url).netloc or 'headend'}-",
        "visibility_timeout": 60,
        "wait_time_seconds": 10,
        "polling_interval": 0.1,
        "client-config": {"connect_timeout": CONNECT_SECONDS},
    }
    return f"sqs://{endpoint.netloc}", options


def _options(name: str, url: str, known: set[str]) -> dict[str, str]:
    parts = urlsplit(url)
    if name == "EXPORTS_URL" and not parts.netloc:
        raise ImproperlyConfigured(f"{name} is {url!r}; it names no bucket: s3://bucket/prefix.")
    given = dict(parse_qsl(parts.query))
    for option in given.keys() - known:
        takes = ", ".join(sorted(known))
        raise ImproperlyConfigured(f"{name}: {option} is not known; it takes {takes}.")
    return given
