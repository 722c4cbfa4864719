"""How the OpenAPI schema describes GET /meters and GET /meters/<device id>/latest.

``readings.meter_api`` imports this module, as it imports ``readings.schema`` for the operations on readings.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension

from headend.api.openapi import OperationText, Schema, add_links, add_texts
from readings.meter_query import DURATION_PATTERN

_TIME = "2023-02-27 16:00:00.000000"
_METER = "0001b33e-0898-33a6-ac1d-82b59b904034"


class DurationExtension(OpenApiSerializerFieldExtension):
    """Describes ``DurationField`` as text with a pattern."""

    target_class = "readings.meter_query.DurationField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Return the pattern of all accepted forms."""
        return {"type": "string", "pattern": f"^{DURATION_PATTERN}$", "example": "2h"}


_LINKS: dict[str, Schema] = {
    "meters": {
        "latest_reading": {
            "operationId": "latest_reading",
            "parameters": {"device_id": "$response.body#/results/0/device_id"},
        },
        "readings": {
            "operationId": "readings",
            "parameters": {
                "start_date": "$response.body#/results/0/last_reading",
                "device_id": "$response.body#/results/0/device_id",
            },
        },
    },
    "latest_reading": {
        "readings": {
            "operationId": "readings",
            "parameters": {
                "start_date": "$response.body#/time",
                "device_id": "$response.body#/device_id",
            },
        },
    },
}


def add_meter_links(result: Schema, **_: Any) -> Schema:
    """Return the schema with the links from meters to their readings."""
    return add_links(result, _LINKS)


_TEXTS = {
    "meters": OperationText(
        summary="List the meters",
        success="One page of meters.",
        response={
            "next": f"https://headend.example/meters?page_size=1&cursor={_METER}",
            "results": [
                {
                    "device_id": _METER, "first_reading": _TIME, "last_reading": "2023-03-01 16:00:00.000000",
                    "readings": 577, "completeness_last_day": 1.0, "completeness": 1.0,
                    "customer_class": "household",
                }
            ],
        },
        parameters={"prefix": "0001", "silent_for": "2h", "page_size": 1, "cursor": _METER},
        errors={400: "silent_for takes a number of minutes, hours or days, from 1 to 99999, like 30m, 2h or 3d."},
    ),
    "latest_reading": OperationText(
        summary="Get the newest reading of a meter",
        success="The newest reading.",
        response={
            "time": _TIME, "arrival_time": _TIME, "device_id": _METER, "measure_name": "readings",
            "load": 18, "crrnt": 67.267, "pf": 0.908, "kva": 13.469, "kw": 12.228, "vltg": 0.2,
            "kwh": 1.019, "import_kwh": 3141.592, "export_kwh": 0.0, "quality": "measured",
        },
        parameters={"device_id": _METER},
        errors={
            400: "'a,b' is not a meter id: it contains a comma.",
            404: f"The meter {_METER} has no readings.",
        },
    ),
}  # fmt: skip


def add_meter_texts(result: Schema, **_: Any) -> Schema:
    """Return the schema with summaries, descriptions and examples of the operations on meters."""
    return add_texts(result, _TEXTS)
