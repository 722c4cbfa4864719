"""The webhook: a signed HTTP POST that notifies a supplier of a request's final status.

Calls are signed by the Standard Webhooks scheme (https://www.standardwebhooks.com), with three headers:

``webhook-id``
    The id of the delivery. It is the same in every attempt, so a receiver can ignore repeated calls.
``webhook-timestamp``
    Seconds since 1970. A receiver rejects old timestamps, so a recorded call cannot be sent again.
``webhook-signature``
    ``v1,`` and the base64 of HMAC-SHA256 over ``<id>.<timestamp>.<body>``. For some days after a rotation of the secret
    there is a second signature, with the old secret, after a space.

The secret is stored as text and shown as ``whsec_`` and the base64 of that text. So the HMAC key is the
text's bytes, and secrets that were made before this scheme stay valid.

Deprecated: ``X-Headend-Timestamp`` and ``X-Headend-Signature`` are still sent, for one release. The signature is
``sha256=`` and the hexadecimal HMAC-SHA256 over ``<timestamp>.<body>``, with the newest secret only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult

import standardwebhooks
import urllib3
from django.conf import settings

from exports.delivery.addresses import AddressNotAllowedError, checked_address
from exports.models import FileRequest, Supplier, Webhook
from exports.models.suppliers import NOTHING_IS_SENT
from exports.webhook_url import split_webhook_url
from headend.config import rotation
from headend.config.deadline import Deadline, WatchedConnection

CONNECT_TIMEOUT = 5
"""Seconds until the receiver accepts the connection."""
ANSWER_TIMEOUT = 10
"""Seconds until the receiver answers, and between two parts of its answer."""
CALL_TIMEOUT = 15
"""Seconds that the whole call may take after the host name is resolved, even if the answer arrives byte by byte."""


class WebhookError(Exception):
    """The call failed or its answer is not 2xx. The message says why."""


def signing_secret(supplier: Supplier) -> str:
    """Return the secret that verifies the supplier's calls, as ``whsec_<base64>``; create it at first use."""
    secret = settings.SECRETS.get_or_make(_secret_name(supplier), _new_secret)
    return "whsec_" + base64.b64encode(secret.encode()).decode()


def rotate_signing_secret(supplier: Supplier, *, at_once: bool = False) -> datetime | None:
    """Replace the signing secret. Return until when calls are also signed with the old one; see ``rotation.rotate``.

    The caller must hold the lock ``ROTATE``. Raises ``OverlapError`` if the secret before the old one is still in use.
    """
    return rotation.rotate(settings.SECRETS, _secret_name(supplier), _new_secret, at_once=at_once)


def notify(
    request: FileRequest,
    webhook: Webhook,
    *,
    delivery_id: uuid.UUID,
    check: Callable[[], None] | None = None,
) -> str:
    """POST a request's final status to the webhook's URL and return the receiver's answer, in a sentence.

    ``delivery_id`` must be the same in every attempt of a delivery. The call is cut when ``check`` raises.
    Raises :class:`WebhookError`.
    """
    # Earlier attempts may have failed for so long that the file has expired or was removed.
    location, size, sha256 = (
        (request.location, request.size, request.sha256) if request.has_file else (None, None, None)
    )
    event = {
        "delivery_id": str(delivery_id),
        "request_id": str(request.pk),
        "status": request.status,
        "record_count": request.record_count,
        "sftp_location": location,
        "size": size,
        "sha256": sha256,
        "reason": request.reason or None,
    }
    return _post(webhook, json.dumps(event), message_id=str(delivery_id), check=check)


def send_test(webhook: Webhook) -> str:
    """POST a test event to the webhook's URL and return the receiver's answer.

    Raises :class:`WebhookError`, also if the supplier is inactive.
    """
    if not webhook.supplier.active:
        raise WebhookError(NOTHING_IS_SENT)
    return _post(webhook, json.dumps({"test": True}), message_id=str(uuid.uuid4()))


def _secret_name(supplier: Supplier) -> str:
    return f"{settings.SECRETS_PREFIX}/webhook/{supplier.name}/secret"


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


def _signature_headers(supplier: Supplier, message_id: str, body: str) -> dict[str, str]:
    now = datetime.now(UTC)
    timestamp = str(int(now.timestamp()))
    stored = rotation.valid_values(settings.SECRETS, _secret_name(supplier), _new_secret)
    keys = [secret.encode() for secret in stored]
    old_signature = hmac.new(keys[0], f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(
            standardwebhooks.Webhook(key).sign(message_id, now, body) for key in keys
        ),
        "X-Headend-Timestamp": timestamp,
        "X-Headend-Signature": f"sha256={old_signature}",
    }


def _post(
    webhook: Webhook,
    body: str,
    *,
    message_id: str,
    check: Callable[[], None] | None = None,
) -> str:
    try:
        url = split_webhook_url(webhook.url)
    except ValueError as error:
        # The form refuses such a URL; the row may be older than this check.
        raise WebhookError(str(error)) from None
    headers = {
        "Host": url.netloc,
        "Content-Type": "application/json",
        "User-Agent": "headend",
        **_signature_headers(webhook.supplier, message_id, body),
    }
    path = f"{url.path or '/'}{f'?{url.query}' if url.query else ''}"
    status = _status_of_call(url, path, body.encode(), headers, check)
    if not 200 <= status < 300:
        raise WebhookError(f"The receiver answered {status}.")
    return f"The receiver answered {status}."


def _status_of_call(
    url: SplitResult,
    path: str,
    body: bytes,
    headers: dict[str, str],
    check: Callable[[], None] | None,
) -> int:
    """Return the status of the receiver's answer. Raises :class:`WebhookError` if there is none."""
    host = url.hostname or ""
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        address = checked_address(host, port, allow_private=settings.WEBHOOK_PRIVATE_ADDRESSES)
    except AddressNotAllowedError as error:
        raise WebhookError(str(error)) from None
    too_slow = f"The receiver did not answer within {CALL_TIMEOUT:g} s."
    with Deadline(CALL_TIMEOUT, too_slow, check=check) as deadline:
        try:
            answer = _pool(url, address, port, deadline).urlopen(
                "POST",
                path,
                body,
                headers,
                # A redirect could lead to a private address, and failed calls are retried later.
                redirect=False,
                retries=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if deadline.is_over:
                raise WebhookError(deadline.message) from error
            raise WebhookError(f"The URL cannot be reached: {_reason(error)}.") from error
        # Only the status counts, so the body is not read.
        answer.close()
        if deadline.is_over:
            # The end of the connection looks like the end of the headers.
            raise WebhookError(deadline.message)
    return answer.status


def _reason(error: Exception) -> str:
    """Return why a call failed. The texts of urllib3 describe its own objects, which a reader does not know."""
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        cause = error.__cause__
        return (cause.strerror if isinstance(cause, OSError) else None) or "no connection"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return f"no connection within {CONNECT_TIMEOUT} s"
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return f"no answer within {ANSWER_TIMEOUT} s"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "the receiver closed the connection, or did not answer in HTTP"
    return str(error)


class _Connection(WatchedConnection, urllib3.connection.HTTPConnection):
    """A connection for one call, which is shut down at the call's deadline."""

    def __init__(self, *args: Any, deadline: Deadline, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline = deadline

    def current_deadline(self) -> Deadline:
        """Return the deadline of the only call."""
        return self._deadline


class _TLSConnection(_Connection, urllib3.connection.HTTPSConnection):
    """The same with TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


def _pool(
    url: SplitResult, address: str, port: int, deadline: Deadline
) -> urllib3.HTTPConnectionPool:
    """Return a pool for one connection to the address that was checked. TLS still verifies the URL's host name."""
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=ANSWER_TIMEOUT)
    if url.scheme == "https":
        return _TLSPool(
            address,
            port,
            timeout=timeout,
            deadline=deadline,
            server_hostname=url.hostname,
            assert_hostname=url.hostname,
        )
    return _Pool(address, port, timeout=timeout, deadline=deadline)
