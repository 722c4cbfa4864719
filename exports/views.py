"""The operators' page of file requests, and the downloads."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh
from django_htmx.middleware import HtmxDetails

from exports.delivery.downloads import Visitor, answer
from exports.delivery.links import download_path, is_signed
from exports.models import FetchWay, FileRequest
from exports.requests import progress, with_progress
from exports.stores import FileMissingError

PAGE = 50
SAFE_METHODS = ("GET", "HEAD")


class HtmxRequest(HttpRequest):
    """A request that went through django-htmx's middleware."""

    htmx: HtmxDetails


# The page and its table share one address: a kept table must never be shown for the page.
@never_cache
@require_safe
def requests_page(request: HtmxRequest) -> HttpResponse:
    """Every supplier's file requests, newest first; htmx asks for the table alone."""
    if not _is_staff(request):
        # htmx would follow a redirect and put the login form where the table was.
        if request.htmx:
            return HttpResponseClientRefresh()
        return redirect_to_login(request.get_full_path())
    requests = with_progress(FileRequest.objects.select_related("supplier"))
    page = Paginator(requests, PAGE).get_page(request.GET.get("page"))
    rows = [
        {
            "request": row,
            "progress": progress(row),
            "download": download_path(row) if row.has_file else None,
        }
        for row in page.object_list
    ]
    template = "exports/_requests_table.html" if request.htmx else "exports/requests.html"
    context = {"page": page, "rows": rows, "public_url": settings.HEADEND_PUBLIC_URL}
    return render(request, template, context)


@csrf_exempt  # Nothing is changed here; what is no GET gets the answer below instead of a page.
def download(request: HttpRequest, request_id: uuid.UUID, name: str) -> HttpResponseBase:
    """A completed request's file, for whoever holds a signed link, and for staff."""
    if request.method not in SAFE_METHODS:
        sentence = f"{request.method} is not allowed here; GET fetches the file."
        return JsonResponse({"error": sentence}, status=405, headers={"Allow": "GET, HEAD"})
    location = f"{request_id}/{name}"
    visitor = _visitor(request, location)
    if visitor is None:
        return JsonResponse({"error": "signature is missing, wrong or too old."}, status=403)
    file_request = FileRequest.objects.filter(pk=request_id).first()
    try:
        # Compared here: PostgreSQL takes no name with a NUL in it, not even to look for it.
        if file_request is None or file_request.location != location:
            raise FileMissingError
        return answer(request, file_request, visitor)
    except FileMissingError:
        return JsonResponse({"error": "There is no such file, or no longer."}, status=404)


def _visitor(request: HttpRequest, location: str) -> Visitor | None:
    if _is_staff(request):
        return Visitor(FetchWay.PORTAL, request.user.get_username())
    if is_signed(location, request.GET.get("signature", "")):
        return Visitor(FetchWay.LINK, "link")
    return None


def _is_staff(request: HttpRequest) -> bool:
    return request.user.is_authenticated and request.user.is_staff
