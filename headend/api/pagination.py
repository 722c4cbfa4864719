"""Pages of the API's lists."""

from __future__ import annotations

from typing import Any

from rest_framework.pagination import PageNumberPagination

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000


class ListPagination(PageNumberPagination):
    """Pages by number, with the parameters ``page`` and ``page_size``."""

    page_size = DEFAULT_PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    invalid_page_message = "page: there is no page {page_number}; follow next until it is null."

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the OpenAPI 3.1 schema of a page whose results have ``schema``."""
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["count", "next", "previous", "results"],
            "properties": {
                "count": {"type": "integer", "description": "The number of results on all pages."},
                "next": link | {"description": "The URL of the next page; null after the last."},
                "previous": link | {"description": "The URL of the previous page, or null."},
                "results": schema,
            },
        }
