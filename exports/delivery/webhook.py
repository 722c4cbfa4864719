"""News of a final state, POSTed to a supplier's URL and signed."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
import uuid
from urllib.parse import urlsplit

import urllib3
from django.conf import settings

from exports.delivery.addresses import AddressRefusedError, callable_address
from exports.models import FileRequest, Supplier, Webhook

CONNECT_SECONDS = 5
ANSWER_SECONDS = 10
TIMESTAMP_HEADER = "X-Headend-Timestamp"
SIGNATURE_HEADER = "X-Headend-Signature"


class WebhookError(Exception):
    """The call was not taken; the message says why."""


def signing_secret(supplier: Supplier) -> str:
    """What signs the supplier's calls; made when first asked for."""
    name = f"{settings.SECRETS_PREFIX}/webhook/{supplier.name}/secret"
    return str(settings.SECRETS.get_or_make(name, lambda: secrets.token_urlsafe(32)))


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp, a dot, and the body: an old call cannot be sent again as a new one."""
    signed = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


def call(request: FileRequest, webhook: Webhook, *, delivery_id: uuid.UUID) -> str:
    """Tell of a request's final state; says what was answered. Raises :class:`WebhookError`.

    ``delivery_id`` is the same in every try, so that a receiver can tell a repetition.
    """
    news = {
        "delivery_id": str(delivery_id),
        "request_id": str(request.pk),
        "status": request.status,
        "record_count": request.record_count,
        "sftp_location": request.location or None,
        "size": request.size,
        "sha256": request.sha256 or None,
        "reason": request.reason or None,
    }
    return _post(webhook, json.dumps(news).encode())


def try_out(webhook: Webhook) -> str:
    """Send a test; says what was answered. Raises :class:`WebhookError`."""
    return _post(webhook, json.dumps({"test": True}).encode())


def _post(webhook: Webhook, body: bytes) -> str:
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "headend",
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: signature(signing_secret(webhook.supplier), timestamp, body),
    }
    url = urlsplit(webhook.url)
    try:
        answer = _pool(webhook.url).urlopen(
            "POST",
            f"{url.path or '/'}{f'?{url.query}' if url.query else ''}",
            body,
            headers | {"Host": url.netloc.rpartition("@")[2]},
            # A redirect could lead inside; and what is not taken now is tried again later.
            redirect=False,
            retries=False,
            preload_content=False,
        )
    except AddressRefusedError as error:
        raise WebhookError(str(error)) from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise WebhookError(f"It cannot be reached: {error}.") from error
    # The status is all that counts; what else is sent is not even read.
    answer.close()
    if not 200 <= answer.status < 300:
        raise WebhookError(f"It answered {answer.status}.")
    return f"It answered {answer.status}."


def _pool(link: str) -> urllib3.HTTPConnectionPool:
    """A connection to the very address that was checked, under the name that was asked for."""
    url = urlsplit(link)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise WebhookError("It takes a URL that starts with https:// or http://.")
    port = url.port or (443 if url.scheme == "https" else 80)
    address = callable_address(url.hostname, port, private=settings.WEBHOOK_PRIVATE_ADDRESSES)
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS)
    if url.scheme == "https":
        return urllib3.HTTPSConnectionPool(
            address, port, timeout=timeout, server_hostname=url.hostname,
            assert_hostname=url.hostname,
        )  # fmt: skip
    return urllib3.HTTPConnectionPool(address, port, timeout=timeout)
