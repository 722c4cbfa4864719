"""Who may open which page: staff everything, supplier users only their supplier's file requests."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django_htmx.http import HttpResponseClientRefresh

from exports.models import FileRequest

ViewArguments = ParamSpec("ViewArguments")
View = Callable[Concatenate[HttpRequest, ViewArguments], HttpResponse]


def login_required(view: View[ViewArguments]) -> View[ViewArguments]:
    """Send users who are not logged in to the login page.

    Unlike Django's decorator of the same name, it answers an htmx request with a full page refresh. The view
    itself must restrict what it shows, with :func:`visible_requests`.
    """

    @wraps(view)
    def guarded(
        request: HttpRequest, /, *args: ViewArguments.args, **kwargs: ViewArguments.kwargs
    ) -> HttpResponse:
        if not request.user.is_authenticated:
            return _to_login(request)
        return view(request, *args, **kwargs)

    return guarded


def staff_required(view: View[ViewArguments]) -> View[ViewArguments]:
    """Send users who are not logged in to the login page; answer 403 to users who are not staff."""

    @login_required
    @wraps(view)
    def guarded(
        request: HttpRequest, /, *args: ViewArguments.args, **kwargs: ViewArguments.kwargs
    ) -> HttpResponse:
        if not request.user.is_staff:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def visible_requests(user: User | AnonymousUser) -> QuerySet[FileRequest]:
    """Return the file requests that a user may see and whose files the user may download.

    Staff see all; a supplier user sees those of its supplier while the supplier is active; others see none.
    """
    requests = FileRequest.objects.select_related("supplier", "removal")
    if not user.is_authenticated:
        return requests.none()
    if user.is_staff:
        return requests
    return requests.filter(supplier__active=True, supplier__people__user=user)


def _to_login(request: HttpRequest) -> HttpResponse:
    # htmx would follow a redirect, and show the login form inside the page that it refreshes.
    if request.headers.get("HX-Request"):
        return HttpResponseClientRefresh()
    return redirect_to_login(request.get_full_path())
