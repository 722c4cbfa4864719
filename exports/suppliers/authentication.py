"""API authentication: each API key belongs to one supplier."""

from __future__ import annotations

import time
from datetime import timedelta
from threading import Lock

from cachetools import LRUCache
from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from exports.credentials import digest
from exports.models import ApiKey, Supplier

KEY_REFUSED = "The API key is unknown or revoked."
_SCHEMES = {"token", "bearer"}
LAST_USE_PRECISION = timedelta(minutes=1)
"""``last_used_at`` is written at most once in this time, so that most API calls write nothing."""
RECENT_SECONDS = 3.0
"""For how long a page of readings accepts a key without checking it again. A revoked key must stop within 5 seconds."""
_MAX_RECENT_KEYS = 10_000


class ApiKeyAuthentication(BaseAuthentication):
    """Authenticate by ``X-API-Key: <key>``, or by ``Authorization`` with the key, alone or after Token or Bearer.

    A call without either header acts as the supplier named by ``HEADEND_ANONYMOUS_SUPPLIER``, if that is set.
    """

    def authenticate(self, request: Request) -> tuple[Supplier, ApiKey | None] | None:
        """Return the supplier and the API key, or None without credentials.

        Raises ``AuthenticationFailed`` for a key that is unknown or revoked, and for a malformed header.
        """
        key = _key_from(request)
        if key is None:
            return _anonymous_supplier()
        supplier_and_key = self.find_supplier(key)
        if supplier_and_key is None:
            raise AuthenticationFailed(KEY_REFUSED)
        return supplier_and_key

    def find_supplier(self, key: str) -> tuple[Supplier, ApiKey] | None:
        """Return the active supplier of an API key and the key's row, or None if it is unknown or revoked."""
        return find_supplier(key)

    def authenticate_header(self, request: Request) -> str:
        """Return the value of ``WWW-Authenticate`` in a 401 response."""
        return "Token"


class RecentApiKeyAuthentication(ApiKeyAuthentication):
    """Authenticate as :class:`ApiKeyAuthentication` does, but look a key up only once in :data:`RECENT_SECONDS`.

    For pages of readings: the lookup would take a quarter of a page's time. Only accepted keys are cached, for each
    process, so a new key works at once. A cached supplier or key is shared by several threads: do not change it.
    """

    _recent: LRUCache[str, tuple[float, tuple[Supplier, ApiKey]]] = LRUCache(_MAX_RECENT_KEYS)
    """The time of the lookup, and its result, by the digest of the key."""
    _lock = Lock()

    def find_supplier(self, key: str) -> tuple[Supplier, ApiKey] | None:
        """See :meth:`ApiKeyAuthentication.find_supplier`."""
        # Before the lookup: it sees each revocation that was committed before this instant.
        now, key_digest = time.monotonic(), digest(key)
        with self._lock:
            recent = self._recent.get(key_digest)
        if recent is not None and now < recent[0] + RECENT_SECONDS:
            return recent[1]
        found = find_supplier(key)
        with self._lock:
            if found is None:
                self._recent.pop(key_digest, None)
            else:
                self._recent[key_digest] = (now, found)
        return found


def find_supplier(key: str) -> tuple[Supplier, ApiKey] | None:
    """Return the active supplier of an API key and the key's row, or None if it is unknown or revoked.

    Updates ``last_used_at``.
    """
    now = timezone.now()
    found = (
        ApiKey.objects.select_related("supplier")
        .filter(digest=digest(key), revoked_at__isnull=True, supplier__active=True)
        .first()
    )
    if found is None:
        return None
    # A use in the future was recorded by a clock that was ahead.
    oldest = now - LAST_USE_PRECISION
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=oldest) | Q(last_used_at__gt=now)
    # A parallel call may have updated the row, so the UPDATE has the same condition again.
    if found.last_used_at is None or not oldest <= found.last_used_at <= now:
        ApiKey.objects.filter(stale, pk=found.pk).update(last_used_at=now)
    return found.supplier, found


def _key_from(request: Request) -> str | None:
    header = request.headers.get("Authorization")
    if header is None:
        return request.headers.get("X-API-Key")
    scheme, _, key = header.strip().partition(" ")
    if not key and scheme and scheme.lower() not in _SCHEMES:
        return scheme
    if scheme.lower() not in _SCHEMES or not key.strip():
        raise AuthenticationFailed(
            "Authorization takes one of the forms: Bearer <API key>, Token <API key>, <API key>."
        )
    return key.strip()


def _anonymous_supplier() -> tuple[Supplier, None] | None:
    if not settings.HEADEND_ANONYMOUS_SUPPLIER:
        return None
    supplier = Supplier.objects.filter(
        name=settings.HEADEND_ANONYMOUS_SUPPLIER, active=True
    ).first()
    return (supplier, None) if supplier else None
