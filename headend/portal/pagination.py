"""Pagination of the portal's lists. The template ``portal/_pagination.html`` renders the links."""

from __future__ import annotations

from typing import TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest

Row = TypeVar("Row", bound=Model)


def requested_page(request: HttpRequest, rows: QuerySet[Row], page_size: int) -> Page[Row]:
    """Return the page that the URL query names by ``page``.

    Without a valid number it is the first page; with a number that is too large it is the last one.
    """
    return Paginator(rows, page_size).get_page(request.GET.get("page"))
