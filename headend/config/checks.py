"""Settings that can be read one by one and are wrong together, or against the database.

Ids are stable: they may be silenced by name in ``SILENCED_SYSTEM_CHECKS``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.http.request import validate_host

from exports.models import Supplier


@register()
def two_servers_need_two_ports(**_: Any) -> list[CheckMessage]:
    """``headend.E001``."""
    if settings.HEADEND_PORT != settings.SFTP_PORT:
        return []
    return [
        Error(
            f"HEADEND_PORT and SFTP_PORT are both {settings.SFTP_PORT}.",
            hint="Give one of them another port.",
            id="headend.E001",
        )
    ]


@register()
def public_url_is_answered(**_: Any) -> list[CheckMessage]:
    """``headend.W001``: every link the deployment hands out would be refused."""
    host = urlsplit(settings.HEADEND_PUBLIC_URL).hostname or ""
    if validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS):
        return []
    return [
        Warning(
            f"HEADEND_PUBLIC_URL names the host {host!r}, which HEADEND_ALLOWED_HOSTS leaves out.",
            hint=f"Add {host} to HEADEND_ALLOWED_HOSTS.",
            id="headend.W001",
        )
    ]


@register(Tags.database)
def anonymous_supplier_is_a_supplier(
    databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """``headend.E002``: calls without a key would be refused although the setting lets them in."""
    name = settings.HEADEND_ANONYMOUS_SUPPLIER
    if not databases or not name or Supplier.objects.filter(name=name, active=True).exists():
        return []
    return [
        Error(
            f"HEADEND_ANONYMOUS_SUPPLIER is {name!r}, and no active supplier has that name.",
            hint="Name an active supplier, or leave the setting empty.",
            id="headend.E002",
        )
    ]
