"""GET /meters: the known meters, one page per call. GET /meters/<device id>/latest: the newest reading of one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

import readings.meter_schema  # noqa: F401 (drf-spectacular only finds extensions of imported modules)
from headend.api.errors import errors
from headend.api.negotiation import IgnoreClientContentNegotiation
from readings.described_table import described_repository
from readings.device_ids import parse_device_id
from readings.meter_list import describe_meters, page_by_device_id, page_of_silent
from readings.meter_query import LatestReading, MeterList, MetersQuery
from readings.newest_reading import newest_reading
from readings.parameters import query_parameters

_QUERY, _PAGE, _LATEST = MetersQuery(), MeterList(), LatestReading()
"""They check the parameters of every call, and serialize every response. DRF would copy the fields for each call."""
_DEVICE_ID = OpenApiParameter(
    "device_id",
    OpenApiTypes.STR,
    OpenApiParameter.PATH,
    description="The id of the meter, percent-encoded.",
)


class MetersViewSet(ViewSet):
    """The meters that have ever sent readings."""

    content_negotiation_class = IgnoreClientContentNegotiation

    @extend_schema(
        operation_id="meters",
        tags=["meters"],
        parameters=[MetersQuery],
        responses={200: MeterList, **errors()},
    )
    def list(self, request: Request) -> Response:
        """Return one page of meters, by device id or, with `silent_for`, the longest silent ones first.

        Follow `next` until it is null: a page may have fewer meters than `page_size`, even none, and not be the last.
        """
        selected = _QUERY.valid(query_parameters(request))
        prefix, size = selected.get("prefix", ""), selected["page_size"]
        silent_since = None
        if "silent_for" in selected:
            silent_since = timezone.now() - selected["silent_for"]
            page = page_of_silent(silent_since, prefix, selected.get("cursor"), size)
        else:
            page = page_by_device_id(prefix, selected.get("cursor", ""), size)
        meters = describe_meters(
            described_repository().recent_snapshot(), page.device_ids, silent_since
        )
        next_url = None
        if page.last is not None:
            cursor = page.last.device_id if silent_since is None else page.last
            next_url = _url(request, selected | {"cursor": cursor})
        content = {"next": next_url, "results": meters.to_dicts()}
        return Response(_PAGE.to_representation(content))

    @extend_schema(
        operation_id="latest_reading",
        tags=["meters"],
        parameters=[_DEVICE_ID],
        responses={200: LatestReading, **errors(404)},
    )
    def latest(self, request: Request, device_id: str) -> Response:
        """Return the newest reading of a meter, with all columns. Values that the meter does not measure are null."""
        try:
            meter = parse_device_id(device_id)
        except ValueError as error:
            raise ValidationError([str(error)]) from None
        reading = newest_reading(described_repository().recent_snapshot(), meter)
        if reading is None:
            raise NotFound(f"The meter {meter} has no readings.")
        return Response(_LATEST.to_representation(reading))


def _url(request: Request, selected: dict[str, Any]) -> str:
    parameters = urlencode(_QUERY.to_representation(selected))
    return f"{request.build_absolute_uri(request.path)}?{parameters}"
