"""Replace values of the headers Content-Type and Accept that Django cannot read.

Django reads the Content-Type before its error handling begins. So a parameter that it cannot parse would cause an
error 500 at every URL. The contract also demands that the API ignores this header.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from django.http.request import MediaType
from django.utils.http import parse_header_parameters

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}")
"""The boundaries that RFC 2046, section 5.1.1, allows."""


def with_usable_headers(application: WSGIApplication) -> WSGIApplication:
    """Wrap ``application`` so that it only gets headers that it can read."""

    def wrapped(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        return application(usable_headers(environ), start_response)

    return wrapped


def usable_headers(environ: dict[str, Any]) -> dict[str, Any]:
    """Return a WSGI environment without the parts of Content-Type and Accept that cannot be read."""
    changed = {name: usable(environ[name]) for name, usable in _USABLE.items() if environ.get(name)}
    return environ | changed if changed else environ


def usable_content_type(value: str) -> str:
    """Return a Content-Type without parameters that cannot be parsed, and without a charset other than UTF-8.

    Forms and URLs are UTF-8. Django would decode both with the charset, also with ``punycode`` and other codecs that
    raise errors for most texts. It ignores a charset that Python does not know; here all of them are ignored.
    """
    media_type = value.partition(";")[0]
    try:
        _, parameters = parse_header_parameters(value)
    # Django uses the parser for e-mail messages; its errors are not documented.
    except Exception:
        return media_type
    if _is_utf_8(parameters.get("charset", "utf-8")):
        return value
    boundary = parameters.get("boundary")
    # Any other boundary could contain a quotation mark, followed by parameters that cannot be read.
    if boundary and _BOUNDARY.fullmatch(boundary):
        return f'{media_type}; boundary="{boundary}"'
    return media_type


def usable_accept(value: str) -> str:
    """Return an Accept header without the media types that cannot be parsed."""
    return ",".join(each for each in value.split(",") if _is_media_type(each))


def _is_utf_8(charset: str) -> bool:
    try:
        return codecs.lookup(charset).name == "utf-8"
    except (LookupError, ValueError):  # unknown, or with a NUL character
        return False


def _is_media_type(value: str) -> bool:
    try:
        MediaType(value)
    except Exception:  # see usable_content_type
        return False
    return True


_USABLE: dict[str, Callable[[str], str]] = {
    "CONTENT_TYPE": usable_content_type,
    "HTTP_ACCEPT": usable_accept,
}
"""What makes each header usable."""
