"""Translate the deployment's URLs into settings of Django, django-storages and Celery.

Every function raises :class:`django.core.exceptions.ImproperlyConfigured` for a wrong URL, with one
sentence that names the variable. No function opens a connection or creates a folder. AWS credentials
come from where boto3 looks for them, never from a URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from headend.config import environment as env
from headend.config.aws_secrets import SecretsManager
from headend.config.folders import Folder
from headend.config.secrets import FileSecrets, Secrets

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 30
_S3_ATTEMPTS = 6
_CHECKSUMS = ("when_supported", "when_required")
"""When boto3 sends and verifies the checksums that it has since version 1.36. Not every server supports them."""
_REFUSED_BY_DELTA = re.compile(r"[\[\]^|\\]|%[0-9A-Fa-f]{2}")


def database(url: str) -> dict[str, Any]:
    """Return an entry of ``DATABASES``."""
    if "#" in url:
        # Everything after this character would be ignored.
        raise ImproperlyConfigured("DATABASE_URL: write the character # as %23.")
    entry: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=60))
    if entry["ENGINE"] == "django.db.backends.sqlite3":
        entry["OPTIONS"] = {
            # Several processes write. So each takes the write lock at the start of its transaction, and waits for it.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    else:
        # Replace a connection that a restarted server has closed before a request uses it.
        entry["CONN_HEALTH_CHECKS"] = True
        entry.setdefault("OPTIONS", {}).setdefault("connect_timeout", CONNECT_TIMEOUT_SECONDS)
    return entry


def exports_storage(url: str, name: str = "EXPORTS_URL") -> dict[str, Any]:
    """Return an entry of ``STORAGES``. Errors call the URL ``name``.

    ``url`` is ``file:///folder`` or ``s3://bucket/prefix?endpoint_url=…&region=…&checksums=…``.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": env.folder_of(name, url)},
        }
    if not parts.netloc:
        raise ImproperlyConfigured(f"{name} is {url!r}; it names no bucket: s3://bucket/prefix.")
    options = _query_options(name, url, {"endpoint_url", "region", "checksums"})
    checksums = options.get("checksums", _CHECKSUMS[0])
    if checksums not in _CHECKSUMS:
        raise ImproperlyConfigured(
            f"{name}: checksums={checksums} is unknown; write {' or '.join(_CHECKSUMS)}."
        )
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": parts.netloc,
            "location": parts.path.strip("/"),
            "endpoint_url": options.get("endpoint_url"),
            "region_name": options.get("region"),
            "client_config": _s3_client_config(
                own_server="endpoint_url" in options, checksums=checksums
            ),
        },
    }


def _s3_client_config(*, own_server: bool, checksums: str) -> Any:
    # Importing botocore takes 0.2 s; a deployment with a folder does not need it.
    from botocore.config import Config

    return Config(
        signature_version="s3v4",
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
        # Servers other than AWS's own have no host name for each bucket.
        s3={"addressing_style": "path" if own_server else "auto"},
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _S3_ATTEMPTS},
        max_pool_connections=32,
    )


def secrets_store(url: str, home: Path) -> tuple[str | None, Secrets]:
    """Return the prefix of the secrets' names, if ``url`` contains one, and the secrets store."""
    home_folder = Folder("HEADEND_HOME", home)
    parts = urlsplit(url)
    if parts.scheme == "file":
        root = env.folder_of("SECRETS_URL", url)
        folders = [Folder("SECRETS_URL", root)]
        if root.is_relative_to(home):
            folders.insert(0, home_folder)
        return None, FileSecrets(root, folders)
    options = _query_options("SECRETS_URL", url, {"region", "endpoint_url"})
    prefix = f"{parts.netloc}{parts.path}".strip("/")
    if not prefix:
        raise ImproperlyConfigured(
            f"SECRETS_URL is {url!r}; it names no prefix: secretsmanager://prefix."
        )
    copies = home / "secrets"
    store = SecretsManager(
        prefix,
        FileSecrets(copies, [home_folder, Folder("HEADEND_HOME", copies)]),
        region=options.get("region"),
        endpoint_url=options.get("endpoint_url"),
    )
    return prefix, store


def broker(url: str, home: Path) -> tuple[str, dict[str, Any]]:
    """Return ``CELERY_BROKER_URL`` and ``CELERY_BROKER_TRANSPORT_OPTIONS``."""
    scheme = urlsplit(url).scheme
    if scheme in ("redis", "rediss"):
        return url, {
            "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "socket_timeout": READ_TIMEOUT_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": 10,
            # A caller does not wait for a broker that is down: the work is in the database, and a scheduled
            # task finds it.
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.1,
        }
    if scheme == "sqs":
        return _sqs(url)
    messages, control = (str(folder.path) for folder in _broker_folders(home)[1:])
    return "filesystem://localhost", {  # kombu warns about a URL without a host
        "data_folder_in": messages,
        "data_folder_out": messages,
        "control_folder": control,
        "polling_interval": 0.1,
    }


def folders(home: Path, urls: Mapping[str, str]) -> list[Folder]:
    """Return the folders of a deployment's state, each after its parent.

    ``urls`` has the URLs of the services by the names of their variables.
    """
    found = [Folder("HEADEND_HOME", home)]
    for name, url in urls.items():
        match urlsplit(url).scheme:
            case "file":
                found.append(Folder(name, env.folder_of(name, url)))
            case "delta":
                found.append(Folder(name, delta_folder(name, url)))
            case "secretsmanager":
                found.append(Folder("HEADEND_HOME", home / "secrets"))
            case "filesystem":
                found += _broker_folders(home)
    return found


def delta_folder(name: str, url: str) -> Path:
    """Return the folder of ``delta:///folder``. Refuse one in which the library cannot open a table.

    Unlike the URL of a bucket, it has no options. The library panics at the characters of :data:`_REFUSED_BY_DELTA`, and
    it decodes percent-encoded characters twice.
    """
    if "?" in url:
        raise ImproperlyConfigured(
            f"{name} is {url!r}; only delta+s3://bucket/prefix?region=… has options. Write a ? of a folder's name as %3F."
        )
    folder = env.folder_of(name, url)
    wrong = _REFUSED_BY_DELTA.search(str(folder))
    if wrong:
        raise ImproperlyConfigured(
            f"{name}: a Delta table cannot be in {folder}, because the name contains {wrong.group()};"
            f" set HEADEND_HOME or {name} to another folder."
        )
    return folder


def _broker_folders(home: Path) -> list[Folder]:
    """Return the folders of the embedded broker: the parent folder, the one of messages, and the one of control files."""
    root = home / "broker"
    return [Folder("HEADEND_HOME", path) for path in (root, root / "messages", root / "control")]


def _sqs(url: str) -> tuple[str, dict[str, Any]]:
    """Read ``sqs://queue-name-prefix?region=…&endpoint_url=…``."""
    query = _query_options("CELERY_BROKER_URL", url, {"region", "endpoint_url"})
    endpoint = urlsplit(query.get("endpoint_url", ""))
    options = {
        "region": query.get("region", "us-east-1"),
        "is_secure": endpoint.scheme != "http",
        "queue_name_prefix": f"{urlsplit(url).netloc or 'headend'}-",
        "visibility_timeout": 60,
        "wait_time_seconds": 10,
        "polling_interval": 0.1,
        "client-config": {
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "read_timeout": READ_TIMEOUT_SECONDS,
        },
    }
    return f"sqs://{endpoint.netloc}", options


def _query_options(name: str, url: str, allowed: set[str]) -> dict[str, str]:
    options = dict(parse_qsl(urlsplit(url).query))
    for option in options.keys() - allowed:
        raise ImproperlyConfigured(
            f"{name}: the option {option} is unknown; the options are {', '.join(sorted(allowed))}."
        )
    return options
