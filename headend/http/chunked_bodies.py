"""Support for request bodies with chunked transfer encoding.

They have no Content-Length, and Django treats a body without Content-Length as empty.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from django.conf import settings


def with_content_length(application: WSGIApplication) -> WSGIApplication:
    """Wrap ``application`` so that a chunked body is read first and gets a Content-Length.

    At most one byte more than the largest body that a parser accepts is read: enough for it to refuse the body.
    """

    def wrapped(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        # With this key the server says that it decodes the chunks and ends the stream after the last.
        if "CONTENT_LENGTH" not in environ and environ.get("wsgi.input_terminated"):
            body = environ["wsgi.input"].read(settings.API_QUERY_BODY_LIMIT + 1)
            environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
        return application(environ, start_response)

    return wrapped
