"""The peer of ``benchmarks/http_pages.py``: the settings and the URL of a Django view without any middleware.

It returns the bytes of one page, which it reads once from the file BARE_PAGE.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key
from django.http import HttpRequest, HttpResponse
from django.urls import path

SECRET_KEY = get_random_secret_key()
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = __name__
# What the web server reads.
BODY_LIMIT = 2 * 1024 * 1024
FORCE_SCRIPT_NAME = None
HEADEND_TRUSTED_PROXIES: list[str] = []
FOLDERS: list[str] = []

_page = Path(os.environ["BARE_PAGE"]).read_bytes()


def page(_: HttpRequest) -> HttpResponse:
    """Return the page."""
    return HttpResponse(
        _page, content_type="application/json", headers={"Content-Length": str(len(_page))}
    )


urlpatterns = [path("readings", page)]
