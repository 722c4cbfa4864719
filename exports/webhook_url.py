"""Which URLs a webhook may have. Whether its host may be called is checked at each call, when it is resolved."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def split_webhook_url(url: str) -> SplitResult:
    """Return the parts of a webhook's URL. Raises ``ValueError`` that says in one sentence what is wrong with it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # such as port 99999, or a bracket without its counterpart
        raise ValueError(
            "The URL is not valid: write https://host/path; a port is a number from 1 to 65535."
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("The URL must start with https:// or http:// and name a host.")
    if port == 0:
        raise ValueError("The URL has port 0; a port is a number from 1 to 65535.")
    if "@" in parts.netloc:
        raise ValueError(
            "The URL must not contain a user or a password: every operator can read it. "
            "The receiver recognises our calls by their signature."
        )
    return parts
