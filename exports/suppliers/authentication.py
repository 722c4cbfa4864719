"""API authentication: each API key belongs to one supplier."""

from __future__ import annotations

import time
from collections.abc import Mapping
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
KEY_CACHE_SECONDS = 3.0
"""How old the lookup of a key may be for a call that only reads. A revoked key must stop within 5 seconds."""
_MAX_ACCEPTED = 10_000
_accepted: LRUCache[str, tuple[float, tuple[Supplier, ApiKey]]] = LRUCache(_MAX_ACCEPTED)
"""The keys that this process has accepted, by digest: the time of the lookup, and its result."""
_accepted_lock = Lock()


class ApiKeyAuthentication(BaseAuthentication):
    """Authenticate by ``X-API-Key: <key>``, or by ``Authorization`` with the key, alone or after Token or Bearer.

    A call without either header acts as the supplier named by ``HEADEND_ANONYMOUS_SUPPLIER``, if that is set.

    A GET accepts a key that was looked up at most :data:`KEY_CACHE_SECONDS` ago. To look it up takes a quarter of the
    time of a page of readings, and a third of that of the status of a file request.
    """

    def __init__(self, max_age: float = 0.0) -> None:
        """``max_age`` is how many seconds old the lookup may be for a call with another method than GET."""
        self._max_age = max_age

    def authenticate(self, request: Request) -> tuple[Supplier, ApiKey | None] | None:
        """Return the supplier and the API key, or None without credentials.

        Raises ``AuthenticationFailed`` for a key that is unknown or revoked, and for a malformed header.
        """
        key = _key_from(request)
        if key is None:
            return _anonymous_supplier()
        max_age = KEY_CACHE_SECONDS if request.method == "GET" else self._max_age
        supplier_and_key = find_supplier(key, max_age)
        if supplier_and_key is None:
            raise AuthenticationFailed(KEY_REFUSED)
        return supplier_and_key

    def authenticate_header(self, request: Request) -> str:
        """Return the value of ``WWW-Authenticate`` in a 401 response."""
        return "Token"


def find_supplier(key: str, max_age: float = 0.0) -> tuple[Supplier, ApiKey] | None:
    """Return the active supplier of an API key and the key's row, or None if it is unknown or revoked.

    The result may be up to ``max_age`` seconds old if the key was accepted then. Then other threads may have the same
    two objects: do not change them. If the key is looked up, ``last_used_at`` is updated.
    """
    # Taken before the lookup, which sees every revocation that was committed before this instant.
    now, key_digest = time.monotonic(), digest(key)
    with _accepted_lock:
        accepted = _accepted.get(key_digest)
    if accepted is not None and now < accepted[0] + max_age:
        return accepted[1]
    found = _look_up(key_digest)
    with _accepted_lock:
        if found is None:
            _accepted.pop(key_digest, None)
        else:
            _accepted[key_digest] = (now, found)
    return found


def _look_up(key_digest: str) -> tuple[Supplier, ApiKey] | None:
    now = timezone.now()
    keys = ApiKey.objects.select_related("supplier")
    try:
        found = keys.get(digest=key_digest, revoked_at__isnull=True, supplier__active=True)
    except ApiKey.DoesNotExist:
        return None
    # A use in the future was recorded by a clock that was ahead.
    oldest = now - LAST_USE_PRECISION
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=oldest) | Q(last_used_at__gt=now)
    # A parallel call may have updated the row, so the UPDATE has the same condition again.
    if found.last_used_at is None or not oldest <= found.last_used_at <= now:
        ApiKey.objects.filter(stale, pk=found.pk).update(last_used_at=now)
    return found.supplier, found


def _key_from(request: Request) -> str | None:
    # `request.headers` would read all headers to find one.
    headers: Mapping[str, str] = request.META
    header = headers.get("HTTP_AUTHORIZATION")
    if header is None:
        return headers.get("HTTP_X_API_KEY")
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
