"""Compress responses with gzip if the caller accepts it.

Only for views whose responses contain no secret. If a response contains a secret and text of an attacker, its
compressed size shows the attacker whether the two are similar (the BREACH attack).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.utils.cache import patch_vary_headers
from isal import igzip

MIN_BYTES = 1_000
"""Smaller responses fit into one packet without compression."""


def compressed(view: Callable[..., Any]) -> Callable[..., HttpResponseBase]:
    """Return ``view``, an API view, with compressed responses."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponse = view(request, *args, **kwargs)
        # `request.headers` would read all headers to find one.
        accepts = accepts_gzip(request.META.get("HTTP_ACCEPT_ENCODING", ""))
        if isinstance(response, SimpleTemplateResponse):
            response.add_post_render_callback(lambda rendered: _compress(rendered, accepts=accepts))
        else:
            _compress(response, accepts=accepts)
        return response

    return wrapped


@lru_cache(maxsize=100)
def accepts_gzip(header: str) -> bool:
    """Return whether a value of ``Accept-Encoding`` allows gzip."""
    qualities = {}
    for item in header.lower().split(","):
        name, _, parameter = item.partition(";")
        _, _, quality = parameter.partition("q=")
        try:
            qualities[name.strip()] = float(quality) if quality else 1.0
        except ValueError:
            continue
    return qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0))) > 0


def _compress(response: HttpResponse, *, accepts: bool) -> None:
    patch_vary_headers(response, ["Accept-Encoding"])
    if accepts and len(response.content) >= MIN_BYTES:
        response.content = igzip.compress(response.content, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
