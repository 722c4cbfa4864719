"""Who may see a page: the staff all of it, a supplier's people their own supplier's files and nothing else."""

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

Rest = ParamSpec("Rest")
Page = Callable[Concatenate[HttpRequest, Rest], HttpResponse]


def logged_in(page: Page[Rest]) -> Page[Rest]:
    """Ask strangers who they are; the page itself shows only what :func:`visible_requests` gives."""

    @wraps(page)
    def guarded(request: HttpRequest, /, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return _asked_who_they_are(request)
        return page(request, *args, **kwargs)

    return guarded


def staff_only(page: Page[Rest]) -> Page[Rest]:
    """Ask strangers who they are; refuse whoever is no member of the staff."""

    @wraps(page)
    def guarded(request: HttpRequest, /, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return _asked_who_they_are(request)
        if not request.user.is_staff:
            raise PermissionDenied
        return page(request, *args, **kwargs)

    return guarded


def visible_requests(user: User | AnonymousUser) -> QuerySet[FileRequest]:
    """The file requests that a person may see and whose files they may fetch."""
    requests = FileRequest.objects.select_related("supplier")
    if not user.is_authenticated:
        return requests.none()
    if user.is_staff:
        return requests
    return requests.filter(supplier__active=True, supplier__people__user=user)


def _asked_who_they_are(request: HttpRequest) -> HttpResponse:
    # htmx would follow a redirect and put the login form where the table was.
    if request.headers.get("HX-Request"):
        return HttpResponseClientRefresh()
    return redirect_to_login(request.get_full_path())
