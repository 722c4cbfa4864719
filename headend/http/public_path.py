"""Accept requests with the path of the public URL, such as ``/headend`` of ``https://meters.example/headend``.

Some proxies remove this path before they forward a request, and others do not. Both work.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from django.conf import settings


def without_public_path(application: WSGIApplication) -> WSGIApplication:
    """Wrap ``application`` so that the path of the public URL is removed from a request's path.

    Django adds it again to every link (``FORCE_SCRIPT_NAME``).
    """

    def wrapped(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = path_in_deployment(environ.get("PATH_INFO", ""))
        return application(environ, start_response)

    return wrapped


def path_in_deployment(path: str) -> str:
    """Return the path of a request without the path of the public URL."""
    prefix = settings.FORCE_SCRIPT_NAME
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path.removeprefix(prefix) or "/"
    return path
