"""The middleware for sessions, users and messages. API calls without cookies skip it.

The API authenticates by API keys only, and reads no session. A call with cookies passes through all middleware.
"""

from __future__ import annotations

from collections.abc import Awaitable

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from headend.portal.unavailable import AvailableSessionMiddleware


def is_api_call_without_cookies(request: HttpRequest) -> bool:
    """Return whether no middleware for sessions is needed."""
    is_api = request.path_info == "/readings" or request.path_info.startswith("/readings/")
    return is_api and not request.META.get("HTTP_COOKIE")


class _SkippedByApiCalls(MiddlewareMixin):
    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Handle the request, or pass it on unchanged if it is a call of the API."""
        if is_api_call_without_cookies(request):
            return self.get_response(request)
        return super().__call__(request)


class PageSessionMiddleware(_SkippedByApiCalls, AvailableSessionMiddleware):
    """Opens the session of a page, and stores it."""


class PageUserMiddleware(_SkippedByApiCalls, AuthenticationMiddleware):
    """Sets ``request.user`` for a page."""


class PageMessageMiddleware(_SkippedByApiCalls, MessageMiddleware):
    """Shows messages on a page."""
