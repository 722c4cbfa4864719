"""The caller's address, and whether the caller uses HTTPS. Only this module reads ``X-Forwarded-*`` headers.

Anyone can send these headers, so they count only if the connection comes from one of ``HEADEND_TRUSTED_PROXIES``. The
result is in ``REMOTE_ADDR`` and ``wsgi.url_scheme``. The throttling of logins, the records of downloads, the logs and
Django use these. The headers are removed, so that no other code uses them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from django.conf import settings
from django.http import HttpRequest

from headend.config.addresses import without_ipv4_mapping
from headend.config.limited_log import LimitedLog

log = logging.getLogger(__name__)

WARNING_SECONDS = 60.0
"""Ignored headers are logged at most once in this time."""
_PREFIX = "HTTP_X_FORWARDED_"
_OTHER_HEADERS = ("HTTP_FORWARDED", "HTTP_X_REAL_IP")


class CallerAddress:
    """The WSGI application that sets ``REMOTE_ADDR`` and ``wsgi.url_scheme`` for the application behind it.

    - ``REMOTE_ADDR`` is the address of the connection, as ``192.0.2.1`` and not as ``::ffff:192.0.2.1``.
    - If this is a trusted proxy, ``X-Forwarded-For`` is read from right to left, because each proxy appends the address
      of its caller. The first address that is not a trusted proxy is the caller. Text that is not an address is
      ignored, and so is everything to the left of it.
    - ``wsgi.url_scheme`` is ``https`` if the last value of a trusted proxy's ``X-Forwarded-Proto`` is ``https``.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._limited_log = LimitedLog(log, WARNING_SECONDS)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Handle the request."""
        peer = without_ipv4_mapping(environ.get("REMOTE_ADDR", ""))
        headers = {
            name: str(environ.pop(name))
            for name in list(environ)
            if name.startswith(_PREFIX) or name in _OTHER_HEADERS
        }
        caller, scheme = peer, "http"
        if _is_trusted(peer):
            caller = _caller(peer, headers.get("HTTP_X_FORWARDED_FOR", ""))
            scheme = _scheme(headers.get("HTTP_X_FORWARDED_PROTO", ""))
        elif headers:
            self._limited_log.warning(
                "forwarding headers are ignored; if they are from your proxy, add it to HEADEND_TRUSTED_PROXIES",
                peer=peer,
            )
        if caller != peer:
            # The port belongs to the proxy's address.
            environ.pop("REMOTE_PORT", None)
        environ |= {"REMOTE_ADDR": caller, "wsgi.url_scheme": scheme}
        return self._application(environ, start_response)


def caller_address(request: HttpRequest) -> str | None:
    """Return the address of a request's caller; None if the server does not know it."""
    return request.META.get("REMOTE_ADDR") or None


def known_caller(peer: str, forwarded_for: str) -> str | None:
    """Return the address of a caller, or None if a trusted proxy does not report it.

    Args:
        peer: the address of the connection.
        forwarded_for: the header ``X-Forwarded-For``. It counts only if ``peer`` is a trusted proxy.
    """
    if not _is_trusted(peer):
        return peer
    caller = _caller(peer, forwarded_for)
    return None if _is_trusted(caller) else caller


def _caller(peer: str, forwarded_for: str) -> str:
    """Return the address that a trusted proxy reports as its caller."""
    caller = peer
    for text in reversed(forwarded_for.split(",")):
        address = _parsed(text)
        if address is None:
            break
        caller = str(address)
        if not _is_trusted(caller):
            break
    return caller


def _scheme(forwarded_proto: str) -> str:
    return "https" if forwarded_proto.rpartition(",")[2].strip().lower() == "https" else "http"


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address in ``192.0.2.1``, ``192.0.2.1:443``, ``2001:db8::1`` or ``[2001:db8::1]:443``."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return ip_address(without_ipv4_mapping(text.partition("%")[0]))
    except ValueError:
        return None


def _is_trusted(text: str) -> bool:
    # Most deployments without HTTPS trust no proxy. Then no address is parsed.
    proxies = settings.HEADEND_TRUSTED_PROXIES
    if not proxies:
        return False
    address = _parsed(text)
    return address is not None and any(address in network for network in proxies)
