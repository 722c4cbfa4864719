"""API calls without cookies skip the middleware for pages: sessions, forms, users, messages and logins.

The API accepts API keys only, and reads no session. A call with cookies passes through all middleware.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.urls import Resolver404, resolve

from headend.config.addresses import refuse_impossible_port
from headend.portal.unavailable import answer_to_outage


class ApiCallMiddleware:
    """Calls the view of the API directly if the call has no cookies. Other requests are passed on.

    The middleware before this one checks the Host header and adds headers, so API calls need it. The middleware after
    this one does nothing for such a call, but takes a tenth of the time of a page of readings.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a call of the API, or pass another request on."""
        if not _is_api_call_without_cookies(request):
            return self._get_response(request)
        refuse_impossible_port(request.META.get("HTTP_HOST", ""))
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return self._get_response(request)
        request.resolver_match = match
        try:
            response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
            return response.render() if isinstance(response, SimpleTemplateResponse) else response
        except Exception as error:
            answer = answer_to_outage(request, error)
            if answer is None:
                raise
            return answer


def _is_api_call_without_cookies(request: HttpRequest) -> bool:
    path = request.path_info
    is_api = path == "/readings" or path.startswith("/readings/")
    return is_api and not request.META.get("HTTP_COOKIE")
