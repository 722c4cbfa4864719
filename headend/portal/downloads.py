"""A completed request's file, for whoever holds a signed link and for whoever may see the request."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from exports.delivery.audited_file import Fetcher
from exports.delivery.http_download import download_response, http_fetcher
from exports.delivery.links import is_valid_signature
from exports.models import FetchWay, FileRequest
from exports.stores import FileMissingError
from headend.portal.access import visible_requests

SAFE_METHODS = ("GET", "HEAD")


@csrf_exempt  # Nothing is changed here; what is no GET gets the answer below instead of a page.
def download(request: HttpRequest, request_id: uuid.UUID, name: str) -> HttpResponseBase:
    """The file, whole or a range of it."""
    if request.method not in SAFE_METHODS:
        sentence = f"{request.method} is not allowed here; GET fetches the file."
        return JsonResponse({"error": sentence}, status=405, headers={"Allow": "GET, HEAD"})
    location = f"{request_id}/{name}"
    fetcher = _fetcher(request, request_id, location)
    if fetcher is None:
        return JsonResponse({"error": "signature is missing, wrong or too old."}, status=403)
    file_request = FileRequest.objects.filter(pk=request_id).first()
    try:
        # Compared here: PostgreSQL takes no name with a NUL in it, not even to look for it.
        if file_request is None or file_request.location != location:
            raise FileMissingError
        return download_response(request, file_request, fetcher)
    except FileMissingError:
        return JsonResponse({"error": "There is no such file, or no longer."}, status=404)


def _fetcher(request: HttpRequest, request_id: uuid.UUID, location: str) -> Fetcher | None:
    if request.user.is_staff or visible_requests(request.user).filter(pk=request_id).exists():
        return http_fetcher(request, FetchWay.PORTAL, request.user.get_username())
    if is_valid_signature(location, request.GET.get("signature", "")):
        return http_fetcher(request, FetchWay.LINK, "link")
    return None
