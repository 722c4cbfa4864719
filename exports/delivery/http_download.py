"""A file over HTTP: whole or from where an earlier download broke off, and how much of it was sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.http import content_disposition_header

from exports.delivery.audit import note_fetch
from exports.delivery.files import open_file
from exports.delivery.http_ranges import (
    RangeNotSatisfiableError,
    Stretch,
    is_still_the_same,
    is_there_already,
    wanted_stretch,
)
from exports.delivery.links import url_of_the_store
from exports.formats import FORMATS
from exports.models import FetchWay, FileRequest

_BLOCK = 256 * 1024


@dataclass(frozen=True)
class Visitor:
    """Who fetches a file, and how they came by it."""

    way: FetchWay
    who: str


def answer(request: HttpRequest, file_request: FileRequest, visitor: Visitor) -> HttpResponseBase:
    """What a GET or a HEAD of a file is answered with. Raises :class:`FileMissingError`."""
    headers = _headers(file_request)
    body = Body(open_file(file_request), file_request, visitor, _peer(request))
    with ExitStack() as unsent:
        unsent.callback(body.let_go)
        if is_there_already(request.headers.get("If-None-Match", ""), headers["ETag"]):
            return HttpResponseNotModified(headers={"ETag": headers["ETag"]})
        if request.method == "HEAD":
            return HttpResponse(headers={**headers, "Content-Length": str(body.stretch.size)})
        elsewhere = url_of_the_store(file_request)
        if elsewhere is not None:
            # Noted with no bytes: the store sends them, and does not tell us.
            body.close()
            return HttpResponseRedirect(elsewhere)
        try:
            stretch = _stretch(request, headers["ETag"], body.stretch.size)
        except RangeNotSatisfiableError:
            return _not_satisfiable(body.stretch.size)
        unsent.pop_all()
    if stretch is not None:
        headers["Content-Range"] = f"bytes {stretch.start}-{stretch.end - 1}/{body.stretch.size}"
        body.stretch = stretch
    headers["Content-Length"] = str(body.stretch.size)
    return StreamingHttpResponse(body, status=206 if stretch else 200, headers=headers)


class Body:
    """A file, or a stretch of it, read as it is sent; noted when it has been, or when the client has gone."""

    def __init__(
        self, file: IO[bytes], file_request: FileRequest, visitor: Visitor, peer: str
    ) -> None:
        assert file_request.size is not None  # what has a file has its size
        self.stretch = Stretch(0, file_request.size)
        self._file = file
        self._file_request = file_request
        self._visitor = visitor
        self._peer = peer
        self._started_at = timezone.now()
        self._sent = 0

    def __iter__(self) -> Iterator[bytes]:
        """The bytes. A block counts once the next one is asked for: the server has sent it then."""
        self._file.seek(self.stretch.start)
        while block := self._file.read(min(_BLOCK, self.stretch.size - self._sent)):
            yield block
            self._sent += len(block)

    def close(self) -> None:
        """Let go of the file and note how much of it was sent; only the first time counts."""
        if self._file.closed:
            return
        self.let_go()
        note_fetch(
            self._file_request,
            way=self._visitor.way,
            who=self._visitor.who,
            peer=self._peer,
            bytes_sent=self._sent,
            started_at=self._started_at,
        )

    def let_go(self) -> None:
        """Let go of a file of which nothing is sent."""
        self._file.close()


def _not_satisfiable(size: int) -> HttpResponse:
    return JsonResponse(
        {"error": f"Range lies behind the end of the file, which has {size} bytes."},
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


def _stretch(request: HttpRequest, etag: str, size: int) -> Stretch | None:
    if request.method != "GET" or not is_still_the_same(request.headers.get("If-Range"), etag):
        return None
    return wanted_stretch(request.headers.get("Range", ""), size)


def _peer(request: HttpRequest) -> str:
    # X-Forwarded-For is what a caller says of itself.
    peer: str = request.META.get("REMOTE_ADDR", "")
    return peer
