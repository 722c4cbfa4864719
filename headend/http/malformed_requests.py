"""Refuse requests that no view can answer: those with NUL characters, or with ports that cannot exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, QueryDict, UnreadablePostError
from django.http.response import HttpResponseBase

from headend.config.addresses import refuse_impossible_port

NUL = "\0"


class MalformedRequestMiddleware:
    """Answers 400 to a request with a wrong port, or with a NUL character in its cookies, path, query or form.

    PostgreSQL and the file system refuse a NUL character with different errors. No value of a page contains one.
    The views of the API and of downloads, which have no CSRF protection, check their values themselves.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle the request."""
        # `CommonMiddleware`, which is before this one, has checked the header.
        refuse_impossible_port(request.META.get("HTTP_HOST", ""))
        # A quoted cookie can contain any character: "\000".
        _refuse_nul("Cookie header", [*request.COOKIES, *request.COOKIES.values()])
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], *_: Any
    ) -> HttpResponse | None:
        """Check path, query and form. Django has checked the CSRF token before."""
        if not getattr(view, "csrf_exempt", False):
            _refuse_nul("path", [request.path_info])
            _refuse_nul("query", _texts(request.GET))
            try:
                _refuse_nul("form", _texts(request.POST))
            except UnreadablePostError:
                raise BadRequest("The form is not complete.") from None
        return None


def _refuse_nul(place: str, texts: Iterable[str]) -> None:
    if any(NUL in text for text in texts):
        raise BadRequest(f"The {place} contains a NUL character.")


def _texts(values: QueryDict) -> Iterable[str]:
    for name, given in values.lists():
        yield name
        yield from (text for text in given if isinstance(text, str))
