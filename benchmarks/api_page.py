"""A page of readings as a complete API call in this process, without a server."""

from __future__ import annotations

from datetime import datetime

from rest_framework.request import Request
from rest_framework.test import APIRequestFactory, force_authenticate

from exports.models import Supplier
from readings.api import ReadingsViewSet
from readings.instants import format_instant

PAGE = 100
_requests = APIRequestFactory()
# As in a deployment, the view is created once, and not for each request.
_view = ReadingsViewSet.as_view({"get": "list"})


def api_page(start: datetime, offset: int) -> bytes:
    """Return the JSON text of the page."""
    query = {"start_date": format_instant(start), "page_size": str(PAGE), "offset": str(offset)}
    request: Request = _requests.get("/readings", query)
    force_authenticate(request, Supplier(name="bench"))  # type: ignore[arg-type] # the type hints name Django's User; headend authenticates a Supplier
    response = _view(request)
    return bytes(response.content)
