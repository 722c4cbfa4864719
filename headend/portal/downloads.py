"""The download of a file, by a signed link or by a user who may see the file request."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from functools import partial

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from exports.delivery.audited_file import Fetcher
from exports.delivery.http_download import download_response, http_fetcher
from exports.delivery.links import signed_link
from exports.models import FetchWay, FileRequest
from exports.stores import FileMissingError
from headend.portal.access import sees_all_requests, visible_requests

log = logging.getLogger(__name__)

SAFE_METHODS = ("GET", "HEAD")


@csrf_exempt  # The view changes nothing. Other methods get a JSON answer, and not a page about CSRF.
def download(request: HttpRequest, request_id: uuid.UUID, name: str) -> HttpResponseBase:
    """Answer with the file or the requested range of it.

    Errors are JSON:

    - 405: the method is neither GET nor HEAD.
    - 403: the user may not see the request, and there is no valid signature or the access of its creator was revoked.
    - 404: the file does not exist, has expired or is damaged.
    - 503: the file cannot be read at the moment.
    """
    if request.method not in SAFE_METHODS:
        message = f"{request.method} is not allowed here. Use GET to download the file."
        return JsonResponse({"error": message}, status=405, headers={"Allow": "GET, HEAD"})
    location = f"{request_id}/{name}"
    permission = _permission(request, request_id, location)
    if permission is None:
        message = (
            "The signature is missing, wrong or expired, or the access that created it was revoked."
        )
        return JsonResponse({"error": message}, status=403)
    file_request = FileRequest.objects.filter(pk=request_id).first()
    try:
        # Compared in Python: PostgreSQL rejects a query for a name that contains a NUL character.
        if file_request is None or file_request.location != location:
            raise FileMissingError
        return download_response(request, file_request, *permission)
    except FileMissingError as error:
        message = str(error) or "The file does not exist or has expired."
        return JsonResponse({"error": message}, status=404)
    except OSError as error:
        log.error("a file cannot be read", extra={"request": str(request_id), "error": str(error)})
        return JsonResponse({"error": "The file cannot be read now; try again later."}, status=503)


def _permission(
    request: HttpRequest, request_id: uuid.UUID, location: str
) -> tuple[Fetcher, Callable[[], bool]] | None:
    """Return who downloads, and whether this is still allowed later; None if the download is not allowed."""
    user = request.user
    if _may_download(user, request_id):
        still_allowed = partial(_may_still_download, user.get_username(), request_id)
        return http_fetcher(request, FetchWay.PORTAL, user.get_username()), still_allowed
    link = signed_link(location, request.GET.get("signature", ""))
    if link is not None and link.is_allowed():
        return http_fetcher(request, FetchWay.LINK, "link"), link.is_allowed
    return None


def _may_download(user: User | AnonymousUser, request_id: uuid.UUID) -> bool:
    return sees_all_requests(user) or visible_requests(user).filter(pk=request_id).exists()


def _may_still_download(username: str, request_id: uuid.UUID) -> bool:
    # Read the user again, because the object in the request has the permissions from the start of the download.
    user = User.objects.filter(username=username, is_active=True).first()
    return user is not None and _may_download(user, request_id)
