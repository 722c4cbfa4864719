"""Bodies that come in chunks, without a Content-Length: Django would take them for empty."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from django.conf import settings


def with_known_length(application: WSGIApplication) -> WSGIApplication:
    """The application behind a reader that takes a chunked body in, up to just over the API's limit."""

    def read_first(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        # The server says by this key that it has decoded the chunks and knows where they end.
        if "CONTENT_LENGTH" not in environ and environ.get("wsgi.input_terminated"):
            body = environ["wsgi.input"].read(settings.API_BODY_LIMIT + 1)
            environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
        return application(environ, start_response)

    return read_first
