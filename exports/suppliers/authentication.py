"""Who calls the API: one supplier per key."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from exports.credentials import digest
from exports.models import ApiKey, Supplier

LAST_USE_GRAIN = timedelta(minutes=1)


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Token <key>`` or ``X-API-Key: <key>``.

    Without either, the supplier of ``HEADEND_ANONYMOUS_SUPPLIER`` where the deployment names one.
    """

    def authenticate(self, request: Request) -> tuple[Supplier, ApiKey | None] | None:
        """The supplier and the key, None without credentials. Raises ``AuthenticationFailed``."""
        key = _key_in(request)
        if key is None:
            return _anonymous()
        supplier_and_key = find(key)
        if supplier_and_key is None:
            raise AuthenticationFailed("The API key is unknown or revoked.")
        return supplier_and_key

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return "Token"


def find(key: str) -> tuple[Supplier, ApiKey] | None:
    """The active supplier of a key that is not revoked; its use is noted."""
    now = timezone.now()
    found = (
        ApiKey.objects.select_related("supplier")
        .filter(digest=digest(key), revoked_at__isnull=True, supplier__active=True)
        .first()
    )
    if found is None:
        return None
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - LAST_USE_GRAIN)
    if found.last_used_at is None or found.last_used_at < now - LAST_USE_GRAIN:
        ApiKey.objects.filter(stale, pk=found.pk).update(last_used_at=now)
    return found.supplier, found


def _key_in(request: Request) -> str | None:
    header = request.headers.get("Authorization")
    if header is None:
        return request.headers.get("X-API-Key")
    scheme, _, key = header.partition(" ")
    if scheme.lower() != "token" or not key.strip():
        raise AuthenticationFailed("Authorization takes the form: Token <API key>.")
    return key.strip()


def _anonymous() -> tuple[Supplier, None] | None:
    if not settings.HEADEND_ANONYMOUS_SUPPLIER:
        return None
    supplier = Supplier.objects.filter(
        name=settings.HEADEND_ANONYMOUS_SUPPLIER, active=True
    ).first()
    return (supplier, None) if supplier else None
