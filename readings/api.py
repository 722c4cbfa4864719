"""GET /readings: the readings of a window, page by page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import polars as pl
from drf_spectacular.utils import (
    extend_schema,
    extend_schema_serializer,
    inline_serializer,
)
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from headend.api.errors import errors
from headend.api.negotiation import OneMediaType
from readings import frame
from readings.parameters import (
    DeviceIdField,
    InstantField,
    PositionField,
    StrictSerializer,
    query_parameters,
)
from readings.repositories import repository
from readings.window import Position, Window

LARGEST_PAGE = 50_000
LARGEST_OFFSET = 2**62


class ReadingsQuery(StrictSerializer):
    """The parameters of GET /readings."""

    start_date = InstantField(help_text="Readings with time >= start_date.")
    page_size = serializers.IntegerField(
        default=10,
        min_value=1,
        max_value=LARGEST_PAGE,
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value", "max_string_length"),
            f"page_size takes a whole number from 1 to {LARGEST_PAGE}.",
        ),
    )
    offset = serializers.IntegerField(
        default=0,
        min_value=0,
        max_value=LARGEST_OFFSET,
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value", "max_string_length"),
            f"offset takes a whole number from 0 to {LARGEST_OFFSET}.",
        ),
        help_text="The row number after which the page starts.",
    )
    end_date = InstantField(required=False, help_text="Readings with time <= end_date.")
    device_id = serializers.ListField(
        child=DeviceIdField(), required=False, help_text="Only these meters; repeatable."
    )
    arrived_after = InstantField(required=False, help_text="Only what arrived later than this.")
    as_of = InstantField(
        required=False,
        help_text="Leaves out what arrived later, so that late arrivals cannot shift pages.",
    )
    after = PositionField(
        required=False, help_text="Set by next links, which make a page cost what it returns."
    )

    def window(self) -> Window:
        """What the caller asks for."""
        given = self.validated_data
        return Window(
            start=given["start_date"],
            end=given.get("end_date"),
            device_ids=tuple(sorted(set(given.get("device_id", ())))),
            arrived_after=given.get("arrived_after"),
            as_of=given.get("as_of"),
        )


@dataclass(frozen=True)
class ReadingsBody:
    """The answer: ``head`` is everything but the records, which stay a readings frame until rendered."""

    head: dict[str, Any]
    records: pl.DataFrame


class ReadingsRenderer(JSONRenderer):
    """Writes the records straight from the frame; 50,000 of them never become Python objects."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """The body's bytes; anything but a :class:`ReadingsBody` as DRF would write it."""
        if not isinstance(data, ReadingsBody):
            return bytes(super().render(data, accepted_media_type, renderer_context))
        records = frame.with_instants_as_text(data.records).write_json().encode()
        return json.dumps(data.head).encode()[:-1] + b', "records": ' + records + b"}"


_RESULTS = inline_serializer(
    "ReadingsPageResults",
    {
        "records_total": serializers.IntegerField(),
        "last_offset": serializers.IntegerField(),
        "last_date": InstantField(allow_null=True),
    },
)
_RECORDS = inline_serializer(
    "Reading",
    {
        "offset": serializers.IntegerField(),
        "time": InstantField(),
        "arrival_time": InstantField(),
        "device_id": serializers.UUIDField(),
        "measure_name": serializers.CharField(),
        "load": serializers.IntegerField(),
        **{name: serializers.FloatField() for name in ("crrnt", "pf", "kva", "kw", "vltg")},
    },
    many=True,
)


# One page is one object, though the viewset's method is called `list`.
@extend_schema_serializer(many=False)
class ReadingsPage(serializers.Serializer[Any]):
    """The answer, for the schema."""

    filter_params = serializers.DictField()
    results = _RESULTS
    next = serializers.URLField(allow_null=True)
    records = _RECORDS


class ReadingsViewSet(ViewSet):
    """The readings of a window, in order of time and device id."""

    renderer_classes = [ReadingsRenderer]
    content_negotiation_class = OneMediaType

    @extend_schema(
        operation_id="readings",
        tags=["readings"],
        parameters=[ReadingsQuery],
        responses={200: ReadingsPage, **errors()},
    )
    def list(self, request: Request) -> Response:
        """One page of readings; follow ``next``, or repeat with ``offset`` = ``last_offset``."""
        query = ReadingsQuery(data=query_parameters(request, repeatable={"device_id"}))
        query.is_valid(raise_exception=True)
        given = query.validated_data
        page = (
            repository()
            .snapshot()
            .page(
                query.window(),
                offset=given["offset"],
                size=given["page_size"],
                after=given.get("after"),
            )
        )
        return Response(_body(request, query, page.readings, more=page.more))


def _body(
    request: Request, query: ReadingsQuery, readings: pl.DataFrame, *, more: bool
) -> ReadingsBody:
    offset = query.validated_data["offset"]
    last_offset = offset + len(readings)
    last = readings.row(-1, named=True) if len(readings) else None
    applied = query.to_representation(query.validated_data)
    head: dict[str, Any] = {
        "filter_params": {
            name: value for name, value in applied.items() if name not in ("page_size", "after")
        },
        "results": {
            "records_total": len(readings),
            "last_offset": last_offset,
            "last_date": frame.format_instant(last["time"]) if last else None,
        },
        "next": None,
    }
    if more and last:
        position = Position(last["time"], last["device_id"])
        onward = {
            **applied,
            "offset": last_offset,
            "after": query.fields["after"].to_representation(position),
        }
        head["next"] = f"{request.build_absolute_uri(request.path)}?{urlencode(onward, doseq=True)}"
    numbers = pl.int_range(offset + 1, last_offset + 1, dtype=pl.Int64, eager=True)
    return ReadingsBody(head, readings.insert_column(0, numbers.alias("offset")))
