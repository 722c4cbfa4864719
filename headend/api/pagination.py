"""Pages of the API's lists."""

from __future__ import annotations

from rest_framework.pagination import PageNumberPagination

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000


class ListPagination(PageNumberPagination):
    """Pages by number, with the parameters ``page`` and ``page_size``."""

    page_size = DEFAULT_PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
