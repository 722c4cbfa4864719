"""Pages that refresh a part of themselves with htmx."""

from __future__ import annotations

from django.http import HttpRequest


def page_or_fragment(request: HttpRequest, page: str, fragment: str) -> str:
    """Return the template to render: the whole page for a browser, the part that changes for htmx."""
    return fragment if request.headers.get("HX-Request") else page
