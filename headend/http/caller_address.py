"""Give Django the IPv4 address of a caller who reached an IPv6 socket by IPv4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from headend.config.addresses import without_ipv4_mapping


def with_plain_address(application: WSGIApplication) -> WSGIApplication:
    """Wrap ``application`` so that ``REMOTE_ADDR`` is ``192.0.2.1`` instead of ``::ffff:192.0.2.1``."""

    def wrapped(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = without_ipv4_mapping(environ.get("REMOTE_ADDR", ""))
        return application(environ, start_response)

    return wrapped
