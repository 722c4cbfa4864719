"""Access to pages. Roles decide what staff may open; supplier users see only their supplier's file requests."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeGuard

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
    """Return ``view`` for users who are logged in. Others are redirected to the login page.

    Unlike Django's decorator of the same name, it answers an htmx request with a refresh of the whole page. The view
    must restrict what it shows, with :func:`visible_requests`.
    """

    @wraps(view)
    def guarded(
        request: HttpRequest, /, *args: ViewArguments.args, **kwargs: ViewArguments.kwargs
    ) -> HttpResponse:
        if not request.user.is_authenticated:
            return _to_login(request)
        return view(request, *args, **kwargs)

    return guarded


def staff_required(
    *permissions: str,
) -> Callable[[View[ViewArguments]], View[ViewArguments]]:
    """Return a decorator for a page that needs all of ``permissions``, such as ``exports.view_supplier``.

    Users who are not logged in are redirected to the login page. Users without the permissions get 403, and so do
    users who have a role but are not staff.
    """

    def decorate(view: View[ViewArguments]) -> View[ViewArguments]:
        @login_required
        @wraps(view)
        def guarded(
            request: HttpRequest, /, *args: ViewArguments.args, **kwargs: ViewArguments.kwargs
        ) -> HttpResponse:
            if not has_staff_permissions(request.user, *permissions):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def has_staff_permissions(user: User | AnonymousUser, *permissions: str) -> TypeGuard[User]:
    """Return whether the user is an active staff user with all of ``permissions``."""
    return user.is_staff and user.has_perms(permissions)


def sees_all_requests(user: User | AnonymousUser) -> bool:
    """Return whether the user sees the file requests of all suppliers."""
    return has_staff_permissions(user, "exports.view_filerequest")


def visible_requests(user: User | AnonymousUser) -> QuerySet[FileRequest]:
    """Return the file requests that a user may see and whose files the user may download.

    Staff whose role allows it see all requests. A supplier user sees those of its supplier while the supplier is
    active. All other users see none, also staff users without a role.
    """
    requests = FileRequest.objects.select_related("supplier", "removal")
    if sees_all_requests(user):
        return requests
    if not user.is_authenticated or user.is_staff:
        return requests.none()
    return requests.filter(supplier__active=True, supplier__people__user=user)


def _to_login(request: HttpRequest) -> HttpResponse:
    # htmx would follow a redirect, and show the login form inside the page.
    if request.headers.get("HX-Request"):
        return HttpResponseClientRefresh()
    return redirect_to_login(request.get_full_path())
