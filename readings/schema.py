"""How the OpenAPI schema describes the parameters and results of ``readings.parameters`` and ``readings.serializers``.

``readings.api`` imports this module, and drf-spectacular then finds the extensions by their base class.
The settings name :func:`add_readings_links` as a postprocessing hook, which imports it.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import (
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)

from headend.api.openapi import OperationText, Schema, add_links, add_texts
from readings import device_ids, frame
from readings.columns import ALL
from readings.parameters import MAX_METERS

_DAY = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_HOURS_AND_MINUTES = "([01][0-9]|2[0-3]):[0-5][0-9]"
_CLOCK = rf"{_HOURS_AND_MINUTES}(:[0-5][0-9](\.[0-9]{{0,9}})?)?"
_ZONE = "(Z|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])"
_TIME = "2023-02-27 16:00:00.000000"
_COLUMNS = "time,device_id,kwh,quality"
_METER = "0001b33e-0898-33a6-ac1d-82b59b904034"
_DEVICE_ID = f"[^,]{{1,{device_ids.MAX_LENGTH}}}"
_COLUMN = f"({'|'.join(frame.FULL_COLUMNS)})"

INSTANT_PATTERN = f"{_DAY}([ T]{_CLOCK}{_ZONE}?)?"
"""Every form of an instant that a parameter accepts. Some matches are not dates, such as 2023-02-30."""
CANONICAL_INSTANT_PATTERN = rf"{_DAY} {_HOURS_AND_MINUTES}:[0-5][0-9]\.[0-9]{{6}}"
"""The one form of an instant in responses."""


class InstantExtension(OpenApiSerializerFieldExtension):
    """Describes ``InstantField`` as text with a pattern."""

    target_class = "readings.parameters.InstantField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Return the pattern of all accepted forms for a request, of the canonical form for a response."""
        pattern = INSTANT_PATTERN if direction == "request" else CANONICAL_INSTANT_PATTERN
        return {
            "type": "string",
            "pattern": f"^{pattern}$",
            "example": _TIME,
        }


class DeviceIdExtension(OpenApiSerializerFieldExtension):
    """Describes ``DeviceIdField`` as text without comma."""

    target_class = "readings.parameters.DeviceIdField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Return the length of an id, and a pattern."""
        return {"type": "string", "pattern": f"^{_DEVICE_ID}$", "example": _METER}


class MeterListExtension(OpenApiSerializerFieldExtension):
    """Describes ``MeterListField`` as a list of ids."""

    target_class = "readings.parameters.MeterListField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Return the schema of the list."""
        items = {"type": "string", "pattern": f"^{_DEVICE_ID}$", "example": _METER}
        return {"type": "array", "items": items, "minItems": 1}


class MetersExtension(OpenApiSerializerFieldExtension):
    """Describes ``MetersField`` as a list of ids, or one id."""

    target_class = "readings.parameters.MetersField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Return a schema with both forms."""
        one = {"type": "string", "pattern": f"^{_DEVICE_ID}$"}
        return {"anyOf": [{"type": "array", "items": one, "minItems": 1}, one], "example": [_METER]}


class FileMetersExtension(OpenApiSerializerFieldExtension):
    """Describes ``FileMetersField`` as a list of ids, or one id."""

    target_class = "readings.parameters.FileMetersField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Return a schema with both forms."""
        one = {"type": "string", "pattern": f"^{_DEVICE_ID}$"}
        several = {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_METERS}
        return {"anyOf": [several, one], "example": [_METER]}


class ColumnsExtension(OpenApiSerializerFieldExtension):
    """Describes ``ColumnsField`` as ``all``, or names separated by commas."""

    target_class = "readings.parameters.ColumnsField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Return a pattern. Some matches repeat a column, which is refused."""
        names = f"{_COLUMN}( *, *{_COLUMN})*"
        return {"type": "string", "pattern": f"^({ALL}|{names})$", "example": _COLUMNS}


class PositionExtension(OpenApiSerializerFieldExtension):
    """Describes ``PositionField`` as ``<instant>,<device id>``."""

    target_class = "readings.parameters.PositionField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Return the pattern of an instant, a comma and a device id."""
        return {"type": "string", "pattern": f"^{INSTANT_PATTERN},{_DEVICE_ID}$"}


class StrictSerializerExtension(OpenApiSerializerExtension):
    """Declares that objects of a ``StrictSerializer`` have no other properties than the named ones."""

    target_class = "readings.parameters.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: str) -> Schema:
        """Return drf-spectacular's own schema of the serializer, closed against unknown properties."""
        mapped: Schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return mapped | {"additionalProperties": False}


_LAST_OFFSET = "$response.body#/results/last_offset"
_LINKS: dict[str, Schema] = {
    "readings": {
        "next_page": {
            "operationId": "readings",
            "parameters": {"start_date": "$request.query.start_date", "offset": _LAST_OFFSET},
        }
    },
    "query_readings": {
        "next_page": {
            "operationId": "query_readings",
            "parameters": {"offset": _LAST_OFFSET},
            "requestBody": "$request.body",
        }
    },
    "reading_history": {
        "meter": {
            "operationId": "readings",
            "parameters": {
                "start_date": "$response.body#/time",
                "device_id": "$response.body#/device_id",
            },
        }
    },
}


def add_readings_links(result: Schema, **_: Any) -> Schema:
    """Return the schema with the link from a page of readings to the next one."""
    return add_links(result, _LINKS)


_POSITION = f"{_TIME},{_METER}"
_READING = {
    "time": _TIME, "arrival_time": _TIME, "device_id": _METER, "measure_name": "readings",
    "load": 18, "crrnt": 67.267, "pf": 0.908, "kva": 13.469, "kw": 12.228, "vltg": 0.2,
}  # fmt: skip
_VERSION = {
    "valid": True, **_READING,
    "kwh": 1.019, "import_kwh": 3141.592, "export_kwh": 0.0, "quality": "measured",
}  # fmt: skip
_PAGE = {
    "filter_params": {"start_date": _TIME, "offset": 0},
    "results": {"records_total": 1, "last_offset": 1, "last_date": _TIME},
    "next": "https://headend.example/readings?start_date=2023-02-27+16%3A00%3A00.000000&page_size=1&offset=1"
    f"&after=2023-02-27+16%3A00%3A00.000000%2C{_METER}",
    "records": [{"offset": 1, **_READING}],
}
_PARAMETERS = {
    "start_date": _TIME,
    "end_date": "2023-02-27 16:55:00.000000",
    "page_size": 1,
    "offset": 0,
    "device_id": [_METER],
    "arrived_after": "2023-02-27 15:00:00.000000",
    "as_of": "2023-02-27 17:00:00.000000",
    "columns": ",".join(frame.COLUMNS),
    "after": _POSITION,
}
_TEXTS = {
    "readings": OperationText(
        summary="Get one page of readings",
        success="One page of readings, sorted by time and device id.",
        response=_PAGE,
        parameters=_PARAMETERS,
    ),
    "query_readings": OperationText(
        summary="Get one page of readings of many meters",
        success="One page of readings, sorted by time and device id.",
        response=_PAGE
        | {
            "next": f"https://headend.example/readings/query?offset=1&after={_POSITION.replace(' ', '+')}"
        },
        body={"start_date": _TIME, "device_id": [_METER], "page_size": 1},
        parameters=_PARAMETERS,
        errors={413: "The body is larger than 2048 KiB."},
    ),
    "reading_history": OperationText(
        summary="Get all versions of one reading",
        success="The versions, the one that arrived last first.",
        response={"device_id": _METER, "time": _TIME, "versions": [_VERSION]},
        parameters={"device_id": _METER, "time": _TIME},
        errors={
            400: "device_id is required: the id of the meter.",
            404: f"The meter {_METER} has no reading at {_TIME}.",
        },
    ),
}


def add_readings_texts(result: Schema, **_: Any) -> Schema:
    """Return the schema with summaries, descriptions and examples of the operations on readings."""
    return add_texts(result, _TEXTS)
