"""The HTTP answer to a download: a complete file, or the range that resumes an interrupted download."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from exports.delivery.audited_file import AuditedFile, Fetcher
from exports.delivery.http_ranges import (
    ByteRange,
    RangeNotSatisfiableError,
    matches_if_none_match,
    matches_if_range,
    parse_range,
)
from exports.delivery.links import store_url
from exports.formats import FORMATS
from exports.models import FetchWay, FileRequest
from headend.config.database_errors import first_line

log = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
"""Seconds between two checks whether a running download is still allowed."""
_BLOCK_BYTES = 256 * 1024


class DownloadRevokedError(ConnectionResetError):
    """The access was revoked while the download ran. The server closes the connection, as after a client's reset."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the access was revoked during the download")


def http_fetcher(request: HttpRequest, way: FetchWay, name: str) -> Fetcher:
    """Return the fetcher of a download over HTTP.

    Its address is the caller's; see :mod:`headend.http.caller_address`.
    """
    return Fetcher(way, name, request.META.get("REMOTE_ADDR", ""))


def download_response(
    request: HttpRequest,
    file_request: FileRequest,
    fetcher: Fetcher,
    is_allowed: Callable[[], bool],
) -> HttpResponseBase:
    """Return the response to a GET or HEAD of a completed request's file.

    - 200 with the file, or 206 with the requested range;
    - 302 to the store's presigned URL, if the store can create one;
    - 304 if the client already has the file;
    - 416 for a range beyond the file's end.

    While the file is sent, ``is_allowed`` is called every :data:`CHECK_SECONDS`. When it returns False, the connection
    is closed before the file is complete.

    Raises :class:`FileMissingError` if the file does not exist or has expired.
    """
    headers = _headers(file_request)
    file = AuditedFile(file_request, fetcher)
    with ExitStack() as unsent:
        unsent.callback(file.discard)
        if matches_if_none_match(request.headers.get("If-None-Match", ""), headers["ETag"]):
            return HttpResponseNotModified(headers={"ETag": headers["ETag"]})
        if request.method == "HEAD":
            return HttpResponse(headers={**headers, "Content-Length": str(file.size)})
        presigned_url = store_url(file_request)
        if presigned_url is not None:
            # Recorded with 0 bytes: the store sends the file and does not report how much of it.
            file.close()
            return HttpResponseRedirect(presigned_url)
        try:
            requested = _requested_range(request, headers["ETag"], file.size)
        except RangeNotSatisfiableError:
            return _not_satisfiable(file.size)
        unsent.pop_all()
    sent = requested or ByteRange(0, file.size)
    if requested is not None:
        headers["Content-Range"] = f"bytes {sent.start}-{sent.end - 1}/{file.size}"
    headers["Content-Length"] = str(sent.size)
    return DownloadResponse(
        Body(file, sent, is_allowed),
        status=206 if requested is not None else 200,
        headers=headers,
    )


class DownloadResponse(StreamingHttpResponse):
    """The response that sends a file."""

    def __init__(self, body: Body, **options: Any) -> None:
        super().__init__(body, **options)
        self.body = body


class Body:
    """The body of a response: a range of a file, read block by block while it is sent.

    The server calls :meth:`close` when all blocks are sent or the client has disconnected.
    """

    def __init__(self, file: AuditedFile, sent: ByteRange, is_allowed: Callable[[], bool]) -> None:
        self._file = file
        self._range = sent
        self._is_allowed = is_allowed
        self._checked_at = time.monotonic()
        self._is_revoked = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield the blocks. A block counts as sent when the server requests the next one.

        Raises :class:`DownloadRevokedError` if the download is not allowed any more.
        """
        self._file.seek(self._range.start)
        remaining = self._range.size
        while block := self._file.read(min(_BLOCK_BYTES, remaining)):
            yield block
            remaining -= len(block)
            self._file.count_sent(len(block))
            self.check_if_due()

    def check_if_due(self) -> None:
        """Raise :class:`DownloadRevokedError` if the download is not allowed any more.

        Any thread may call this at any time; it checks every :data:`CHECK_SECONDS`.
        """
        if self._is_revoked:
            raise DownloadRevokedError
        if time.monotonic() < self._checked_at + CHECK_SECONDS:
            return
        self._checked_at = time.monotonic()
        try:
            is_allowed = self._is_allowed()
        except (DatabaseError, InterfaceError) as error:
            log.warning(
                "cannot check whether a download is still allowed",
                extra={"request": str(self._file.request.pk), "error": first_line(error)},
            )
            return
        if not is_allowed:
            self._is_revoked = True
            log.warning(
                "a download was stopped because its access was revoked",
                extra={"request": str(self._file.request.pk)},
            )
            raise DownloadRevokedError

    def close(self) -> None:
        """Close the file and record the download."""
        self._file.close()


def _not_satisfiable(size: int) -> HttpResponse:
    return JsonResponse(
        {"error": f"Range contains no byte of the file, which has {size} bytes."},
        status=416,
        headers={"Content-Range": f"bytes */{size}"},
    )


def _headers(file_request: FileRequest) -> dict[str, str]:
    name = file_request.location.rpartition("/")[2]
    return {
        "Content-Type": FORMATS[file_request.format].media_type,
        "Content-Disposition": content_disposition_header(as_attachment=True, filename=name) or "",
        "Accept-Ranges": "bytes",
        "ETag": f'"{file_request.sha256}"',
    }


def _requested_range(request: HttpRequest, etag: str, size: int) -> ByteRange | None:
    if request.method != "GET" or not matches_if_range(request.headers.get("If-Range"), etag):
        return None
    return parse_range(request.headers.get("Range", ""), size)
